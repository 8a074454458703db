/** A check's finding as it is kept in the database. */
import { CheckSeverity } from '@mail/proto';
import { z } from 'zod';

export const checkResultSchema = z.object({
  code: z.string(),
  severity: z.enum(CheckSeverity),
  certificate: z.string(),
  message: z.string(),
  remedy: z.string(),
});
