/** What HTML says without its markup: for a preview, not for showing it. Takes any text, in linear time. */

/** What is in these is not for reading. */
const HIDDEN = new Set(['script', 'style', 'template', 'title']);
const TAG = /<(\/?)([a-z][a-z0-9]*)/iy;
const ENTITY = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));/gi;
const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['apos', "'"],
  ['gt', '>'],
  ['lt', '<'],
  ['nbsp', ' '],
  ['quot', '"'],
]);
const MAX_CODE_POINT = 0x10ffff;

/** A blank stands for each tag. */
export function htmlText(html: string): string {
  // only ASCII letters, so that offsets stay
  const lower = html.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const pieces: string[] = [];
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf('<', at);
    if (open === -1) {
      pieces.push(html.slice(at));
      break;
    }
    pieces.push(html.slice(at, open));
    const end = markupEnd(lower, open);
    pieces.push(end === open + 1 ? '<' : ' ');
    at = end;
  }
  return decodeEntities(pieces.join(''));
}

/** Behind the comment, tag or hidden element that begins at `open`; behind "<" alone where none does. */
function markupEnd(lower: string, open: number): number {
  const behind = (text: string, from: number): number => {
    const found = lower.indexOf(text, from);
    return found === -1 ? lower.length : found + text.length;
  };
  if (lower.startsWith('<!--', open)) return behind('-->', open + 4);
  if (lower.startsWith('<!', open) || lower.startsWith('<?', open)) return behind('>', open);
  TAG.lastIndex = open;
  const [, closes, name = ''] = TAG.exec(lower) ?? [];
  if (closes === undefined) return open + 1;
  const content = behind('>', open);
  return closes === '' && HIDDEN.has(name) ? behind('>', behind(`</${name}`, content)) : content;
}

function decodeEntities(text: string): string {
  return text.replace(ENTITY, (entity, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED.get(name.toLowerCase()) ?? entity;
    const point = Number.parseInt(decimal ?? hex ?? '', decimal === undefined ? 16 : 10);
    return point <= MAX_CODE_POINT ? String.fromCodePoint(point) : entity;
  });
}
