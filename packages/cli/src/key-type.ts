/** Kinds of key as the command line writes them. */
import { KeyType } from '@mail/proto';
import { Option } from 'commander';

const KEY_TYPES: Readonly<Record<string, KeyType>> = {
  'ecdsa-p256': KeyType.KEY_TYPE_ECDSA_P256,
  'ecdsa-p384': KeyType.KEY_TYPE_ECDSA_P384,
  'rsa-2048': KeyType.KEY_TYPE_RSA_2048,
  'rsa-4096': KeyType.KEY_TYPE_RSA_4096,
};

/** The option that takes one of them. */
export function keyTypeOption(): Option {
  return new Option('--key-type <type>', 'the kind of key to make')
    .choices(Object.keys(KEY_TYPES))
    .default('ecdsa-p256');
}

/** `name` is one of the option's choices. */
export function toKeyType(name: string): KeyType {
  return KEY_TYPES[name] ?? KeyType.KEY_TYPE_UNSPECIFIED;
}
