/** Messages of checks are sentences with a full stop; a detail of a source stands among other words. */
export function withoutStop(message: string): string {
  return message.replace(/\.$/, '');
}
