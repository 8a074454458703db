/** Mail for the clients to read. */

/** A short letter of a day in March 2026, with text outside ASCII. */
export function letter(subject: string, day = 1): string {
  return [
    `Date: ${day} Mar 2026 08:00:00 +0000`,
    'From: Bob <bob@example.test>',
    'To: alice@example.test',
    `Message-ID: <${subject.replaceAll(' ', '.')}@example.test>`,
    `Subject: ${subject}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    `Grüße, ${subject}`,
    '',
  ].join('\r\n');
}
