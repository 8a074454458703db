export { parseAddressList } from './addresses.ts';
export { type BaseSubject, baseSubject } from './base-subject.ts';
export {
  BASE64_PIECE_OCTETS,
  encodeBase64Lines,
  encodeBinaryParts,
  type OctetChange,
} from './binary-parts.ts';
export type { Disposition, Parameter, PartFields } from './body-structure.ts';
export { decodeWords } from './encoded-words.ts';
export type { Envelope, EnvelopeAddress } from './envelope.ts';
export { type HeaderField, headerEnd, headerFieldsOf, pickHeaderFields } from './headers.ts';
export { ImapStrings } from './imap-strings.ts';
export { messageIds, readReferences } from './message-ids.ts';
export { decodeParameters } from './parameter-values.ts';
export { type PreviewedPiece, previewedPiece, previewText } from './preview.ts';
export {
  type PlainRendering,
  type RenderingMode,
  renderBody,
  renderBodyStructure,
  renderEnvelope,
  renderPlain,
} from './rendering.ts';
export {
  fieldHas,
  fieldStart,
  foldedPiece,
  foldText,
  headerTexts,
  type SearchedPiece,
  type SearchTexts,
  searchedPieces,
  searchTexts,
} from './search-text.ts';
export { findMessage, findPart } from './sections.ts';
export { type SentDate, sentDate } from './sent-date.ts';
export {
  type EmbeddedMessagePart,
  type FieldTexts,
  type LeafPart,
  type MessagePart,
  type MessageStructure,
  type MultipartPart,
  type PartRange,
  parseMessage,
} from './structure.ts';
export { createTransferDecoder, type TransferDecoder } from './transfer-encoding.ts';
