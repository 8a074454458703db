/**
 * Distinguished names as text: RFC 4514.
 */
import * as asn1js from 'asn1js';
import type { AttributeTypeAndValue, RelativeDistinguishedNames } from 'pkijs';

/** RFC 4514 §3, and the two others that certificates often hold. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

/** The most specific part comes first, as RFC 4514 §2.1 has it; '' for the empty name. */
export function formatName(name: RelativeDistinguishedNames): string {
  return name.typesAndValues.map(formatAttribute).reverse().join(',');
}

function formatAttribute({ type, value }: AttributeTypeAndValue): string {
  const short = SHORT_NAMES[type];
  if (short === undefined || !(value instanceof asn1js.BaseStringBlock)) {
    return `${short ?? type}=#${Buffer.from(value.toBER()).toString('hex')}`;
  }
  return `${short}=${escapeValue(value.getValue())}`;
}

/** RFC 4514 §2.4; control characters too, so that a subject cannot write into a terminal. */
function escapeValue(text: string): string {
  return text
    .replaceAll(/[,+"\\<>;]|^[ #]| $/g, '\\$&')
    .replaceAll(/\p{Cc}/gu, (control) =>
      Buffer.from(control).toString('hex').replaceAll(/../g, '\\$&'),
    );
}
