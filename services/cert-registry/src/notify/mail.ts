/** Warnings by mail, over SMTP, as RFC 5321 clients do it: STARTTLS where it is offered. */
import { createTransport } from 'nodemailer';
import { type Channel, describeNotice, SEND_TIMEOUT_MS } from './channel.ts';
import type { Notice } from './notice-board.ts';

export interface MailChannelOptions {
  readonly to: readonly string[];
  readonly from: string;
  /** smtp://[user@]host[:port] or smtps://... */
  readonly server: URL;
  readonly password: string | undefined;
}

const DEFAULT_PORTS: Record<string, number> = { 'smtp:': 25, 'smtps:': 465 };

export function mailChannel({ to, from, server, password }: MailChannelOptions): Channel {
  const user = decodeURIComponent(server.username);
  const transport = createTransport({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port) || DEFAULT_PORTS[server.protocol],
    secure: server.protocol === 'smtps:',
    // a password goes to a server that has proved its name; without one TLS is as between MTAs (RFC 7435)
    requireTLS: user !== '',
    tls: { rejectUnauthorized: user !== '' },
    ...(user === '' ? {} : { auth: { user, pass: password ?? '' } }),
    connectionTimeout: SEND_TIMEOUT_MS,
    greetingTimeout: SEND_TIMEOUT_MS,
    socketTimeout: SEND_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    name: 'mail',
    send: async (notices) => {
      await transport.sendMail({
        from,
        to: [...to],
        subject: subjectOf(notices),
        text: textOf(notices),
        headers: { 'Auto-Submitted': 'auto-generated' },
      });
    },
    close: () => transport.close(),
  };
}

function subjectOf(notices: readonly Notice[]): string {
  const [first] = notices;
  const more = notices.length > 1 ? ` (and ${notices.length - 1} more)` : '';
  return `[Concert] ${first === undefined ? '' : describeNotice(first)}${more}`;
}

function textOf(notices: readonly Notice[]): string {
  const lines = notices.map(
    (notice) => `- ${describeNotice(notice)}\n  since ${new Date(notice.since).toISOString()}`,
  );
  return `${lines.join('\n')}\n\n"concert fleet" shows what stands now.\n`;
}
