/** One message of the corpus, and how it is written down. */

export interface CorpusEntry {
  /** Unique; says what is odd about the message. */
  readonly name: string;
  readonly raw: Buffer;
}

/** Characters are octets; line ends become CRLF. */
export function mail(name: string, text: string): CorpusEntry {
  return { name, raw: Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1') };
}

/** Characters are octets, line ends as they are written. */
export function octets(name: string, text: string): CorpusEntry {
  return { name, raw: Buffer.from(text, 'latin1') };
}
