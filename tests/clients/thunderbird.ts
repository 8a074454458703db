/**
 * Thunderbird under a virtual X server, with a fresh profile and one IMAP account, driven through its
 * own main window: folders are shown, messages selected and commands given as clicks and keys do it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Marionette } from './marionette.ts';

export interface ThunderbirdAccount {
  readonly imapsPort: number;
  readonly submissionsPort: number;
  readonly user: string;
  readonly password: string;
  /** The authority to trust, as PEM. */
  readonly caPem: string;
}

export interface ThunderbirdFolder {
  readonly path: string;
  /** What Thunderbird takes it for: "Inbox", "Sent" and the like. */
  readonly uses: readonly string[];
}

/** A message in a folder's database of Thunderbird. */
export interface ThunderbirdMessage {
  readonly uid: number;
  readonly subject: string;
  readonly read: boolean;
  readonly flagged: boolean;
}

/** The names under which Thunderbird's window knows what a user can do to the selected message. */
export type ThunderbirdCommand = 'cmd_markAsFlagged' | 'cmd_delete';

const START_TIMEOUT_MS = 60_000;
const QUIT_TIMEOUT_MS = 15_000;

/** No start page, no wizard, no call to the outside; and no polling: what is new comes by IDLE. */
const QUIET: Readonly<Record<string, string | number | boolean>> = {
  'app.donation.eoy.version.viewed': 999,
  'app.update.disabledForTesting': true,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'mail.provider.suppress_dialog_on_startup': true,
  'mail.rights.version': 1,
  'mail.server.server1.check_new_mail': false,
  'mail.server.server1.login_at_startup': false,
  'mail.shell.checkDefaultClient': false,
  'mail.spotlight.firstRunDone': true,
  'mailnews.start_page.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.manage-offline-status': false,
  // the port is free, and told on standard output
  'marionette.port': 0,
};

function accountPreferences(account: ThunderbirdAccount): typeof QUIET {
  const { imapsPort, submissionsPort, user } = account;
  return {
    'mail.accountmanager.accounts': 'account1',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.identity.id1.useremail': user,
    'mail.identity.id1.smtpServer': 'smtp1',
    'mail.identity.id1.valid': true,
    'mail.server.server1.type': 'imap',
    'mail.server.server1.hostname': 'localhost',
    'mail.server.server1.port': imapsPort,
    'mail.server.server1.userName': user,
    'mail.server.server1.name': user,
    // "SSL/TLS" and "Normal password"
    'mail.server.server1.socketType': 3,
    'mail.server.server1.authMethod': 3,
    'mail.smtpservers': 'smtp1',
    'mail.smtp.defaultserver': 'smtp1',
    'mail.smtpserver.smtp1.hostname': 'localhost',
    'mail.smtpserver.smtp1.port': submissionsPort,
    'mail.smtpserver.smtp1.username': user,
    'mail.smtpserver.smtp1.try_ssl': 3,
    'mail.smtpserver.smtp1.authMethod': 3,
  };
}

/** What every script below may use. */
const WINDOW = `
  const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
  const server = MailServices.accounts.defaultAccount.incomingServer;
  const pane = document.getElementById('tabmail').currentAbout3Pane;
  const pathOf = (folder) => decodeURIComponent(folder.URI.replace(/^imap:..[^/]*./, ''));
  const folderAt = (path) => {
    const folder = server.rootFolder.descendants.find((one) => pathOf(one) === path);
    if (folder === undefined) throw new Error('no folder ' + path);
    return folder;
  };
  const told = (message) => ({
    uid: message.messageKey,
    subject: message.mime2DecodedSubject,
    read: message.isRead,
    flagged: message.isFlagged,
  });
`;

const SET_UP = `
  const [caPem, user, password] = arguments;
  Cc['@mozilla.org/security/x509certdb;1']
    .getService(Ci.nsIX509CertDB)
    .addCertFromBase64(caPem.replace(/-----[^-]+-----|\\s/g, ''), 'C,,');
  const known = await Services.logins.getAllLogins();
  for (const origin of ['imap://localhost', 'smtp://localhost']) {
    if (known.some((one) => one.origin === origin)) continue;
    const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
    login.init(origin, null, origin, user, password, '', '');
    await Services.logins.addLoginAsync(login);
  }
  // what would be shown in a box to the user
  window.complaints = [];
  MailServices.mailSession.addUserFeedbackListener({
    onAlert: (message) => window.complaints.push(message),
    onCertError: (_, url) => window.complaints.push('certificate of ' + url.spec),
  });
`;

const FOLDERS = `
  const uses = ['Inbox', 'Drafts', 'SentMail', 'Trash', 'Archive', 'Junk'];
  return server.rootFolder.descendants.map((folder) => ({
    path: pathOf(folder),
    uses: uses.filter((use) => folder.flags & Ci.nsMsgFolderFlags[use]),
  }));
`;

const MESSAGES = `
  const { msgDatabase } = folderAt(arguments[0]);
  return [...msgDatabase.enumerateMessages()].map(told).sort((one, other) => one.uid - other.uid);
`;

const SELECT = `
  const [subject] = arguments;
  const rows = Array.from({ length: pane.gDBView.rowCount }, (_, row) => row);
  const row = rows.find((one) => pane.gDBView.getMsgHdrAt(one).mime2DecodedSubject === subject);
  if (row === undefined) throw new Error('no row ' + subject);
  pane.threadTree.selectedIndex = row;
`;

const SEND = `
  const [to, subject, body] = arguments;
  const identity = MailServices.accounts.defaultAccount.defaultIdentity;
  const fields = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(Ci.nsIMsgCompFields);
  Object.assign(fields, { from: identity.email, to, subject, body });
  const parameters = Cc['@mozilla.org/messengercompose/composeparams;1'].createInstance(Ci.nsIMsgComposeParams);
  Object.assign(parameters, {
    composeFields: fields,
    identity,
    type: Ci.nsIMsgCompType.New,
    format: Ci.nsIMsgCompFormat.PlainText,
  });
  MailServices.compose.OpenComposeWindowWithParams(null, parameters);
  const until = async (find) => {
    for (;;) {
      const found = find();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const compose = await until(() => Services.wm.getMostRecentWindow('msgcompose'));
  await until(() => compose.gMsgCompose?.editor && compose.gComposeType !== undefined && !compose.gWindowLock);
  await compose.SendMessage();
  await until(() => compose.closed);
`;

export class Thunderbird {
  readonly #programs: readonly ChildProcess[];
  readonly #control: Marionette;

  private constructor(programs: readonly ChildProcess[], control: Marionette) {
    this.#programs = programs;
    this.#control = control;
  }

  /**
   * Starts it with what it has in a folder of its own, at first nothing; the account is set up, and nothing
   * of it opened.
   */
  static async start(folder: string, account: ThunderbirdAccount): Promise<Thunderbird> {
    const profile = join(folder, 'profile');
    await mkdir(profile, { recursive: true });
    const preferences = Object.entries({ ...QUIET, ...accountPreferences(account) });
    const lines = preferences.map((pair) => `user_pref(${JSON.stringify(pair).slice(1, -1)});\n`);
    await writeFile(join(profile, 'user.js'), lines.join(''));

    const programs: ChildProcess[] = [];
    const start = (program: string, args: readonly string[], display?: string): ChildProcess => {
      const child = spawn(program, args, {
        stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
        env: { ...process.env, HOME: folder, ...(display && { DISPLAY: `:${display}` }) },
      });
      programs.unshift(child);
      return child;
    };
    try {
      // it takes a display that is free and tells which
      const screen = start('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x900x24']);
      const display = await firstMatch(screen.stdio[3] as Readable, /^(\d+)$/);
      const flags = ['--marionette', '--remote-allow-system-access', '--no-remote'];
      const program = start('thunderbird', [...flags, '--profile', profile], display);
      const port = await firstMatch(program.stdout as Readable, /Listening on port (\d+)/);
      const control = await Marionette.open(Number(port));
      const thunderbird = new Thunderbird(programs, control);
      await thunderbird.#run(SET_UP, account.caPem, account.user, account.password);
      return thunderbird;
    } catch (error) {
      await endAll(programs);
      throw error;
    }
  }

  /** Shows a folder in the window, as a click on it does. */
  async open(path: string): Promise<void> {
    await this.#run('pane.displayFolder(folderAt(arguments[0]).URI)', path);
  }

  /** The folders that it knows of. */
  folders(): Promise<ThunderbirdFolder[]> {
    return this.#run(FOLDERS);
  }

  /** What its own database of a folder holds; nobody is asked. */
  messages(path: string): Promise<ThunderbirdMessage[]> {
    return this.#run(MESSAGES, path);
  }

  /** Selects a message in the list that is shown, which displays it. */
  async select(subject: string): Promise<void> {
    await this.#run(SELECT, subject);
  }

  /** The text of the message that is displayed. */
  displayedText(): Promise<string> {
    return this.#run(
      `return pane.messageBrowser.contentWindow.getMessagePaneBrowser()
         .contentDocument?.body?.textContent ?? ''`,
    );
  }

  /** What a key or a menu does to the selected message. */
  async do(command: ThunderbirdCommand): Promise<void> {
    await this.#run('pane.commandController.doCommand(arguments[0])', command);
  }

  /** Moves the selected message, as the menu does. */
  async moveTo(path: string): Promise<void> {
    await this.#run(
      `pane.commandController.doCommand('cmd_moveMessage', folderAt(arguments[0]))`,
      path,
    );
  }

  /** Writes a message in a window of its own and sends it; resolves when that window has closed. */
  async send(to: string, subject: string, body: string): Promise<void> {
    await this.#run(SEND, to, subject, body);
  }

  /** What it has told its user of in boxes, and the windows that are open besides the main one. */
  complaints(): Promise<string[]> {
    return this.#run(`
      const windows = [...Services.wm.getEnumerator(null)].filter((one) => one !== window);
      return [...window.complaints, ...windows.map((one) => one.location.href)];
    `);
  }

  async quit(): Promise<void> {
    await this.#control.quit();
    await endAll(this.#programs);
  }

  #run<T>(body: string, ...values: readonly unknown[]): Promise<T> {
    return this.#control.run<T>(`${WINDOW}${body}`, ...values);
  }
}

/** The group of the first line that matches; what comes after it is read and dropped. */
async function firstMatch(stream: Readable, pattern: RegExp): Promise<string> {
  const said: string[] = [];
  const lines = createInterface({ input: stream, signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  for await (const line of lines) {
    const match = pattern.exec(line)?.[1];
    if (match !== undefined) {
      stream.resume();
      return match;
    }
    said.push(line);
  }
  throw new Error(`it ended or took too long to start: ${said.join('\n')}`);
}

/** One after the other: the screen goes last. */
async function endAll(programs: readonly ChildProcess[]): Promise<void> {
  for (const program of programs) {
    if (program.exitCode !== null || program.signalCode !== null) continue;
    const exit = once(program, 'exit');
    const timer = setTimeout(() => program.kill('SIGKILL'), QUIT_TIMEOUT_MS);
    program.kill('SIGTERM');
    await exit;
    clearTimeout(timer);
  }
}
