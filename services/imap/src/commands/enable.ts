/** ENABLE (RFC 5161, RFC 9051 §6.3.1). */
import type { Completion, Extension, Session } from '../session.ts';

const EXTENSIONS: readonly Extension[] = [
  'CONDSTORE',
  'IMAP4rev2',
  'METADATA',
  'QRESYNC',
  'UIDONLY',
  'UTF8=ACCEPT',
];

/** Names in upper case; those that mean nothing here are passed over without a word (RFC 5161 §3.1). */
export async function enable(session: Session, names: readonly string[]): Promise<Completion> {
  const { enabled, response, context } = session;
  const offered = ['IMAP4rev2', ...context.extensions];
  const fresh = EXTENSIONS.filter(
    (name) => offered.includes(name) && names.includes(name.toUpperCase()) && !enabled.has(name),
  );
  for (const name of fresh) enabled.add(name);
  // QRESYNC has CONDSTORE in it (RFC 7162 §3.2.3)
  if (enabled.has('QRESYNC')) enabled.add('CONDSTORE');
  if (fresh.includes('METADATA') && !(await session.notifications.noteEnabled())) {
    enabled.delete('METADATA');
  }
  response.untagged(['ENABLED', ...fresh.filter((name) => enabled.has(name))].join(' '));
  return { text: 'ENABLE completed' };
}
