/**
 * Checks the whole store, step by step, while services go on: each look is short and sees one state, and
 * each repair is a write among the others.
 */
import { checkAccounts } from './check-accounts.ts';
import { checkContents } from './check-contents.ts';
import { CheckCourse } from './check-course.ts';
import { checkDatabase } from './check-database.ts';
import { checkMailboxes } from './check-mailboxes.ts';
import { checkMessages, checkReferences } from './check-messages.ts';
import type { CheckOptions, CheckReport } from './check-report.ts';
import type { Engine } from './engine.ts';

/** Throws StoreError (closed, database-unavailable). */
export async function checkStore(engine: Engine, options: CheckOptions): Promise<CheckReport> {
  const course = new CheckCourse(engine, options);
  await checkDatabase(course);
  await checkAccounts(course);
  // first what may be lost, then who holds it, then what counts that
  const checked = await checkContents(course);
  const messages = await checkMessages(course, checked);
  await checkReferences(course);
  const mailboxes = await checkMailboxes(course);
  return {
    mailboxes,
    messages,
    contents: checked.contents,
    faults: course.faults,
    remaining: course.remaining,
  };
}
