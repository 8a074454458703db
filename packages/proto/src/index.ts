/**
 * The gRPC contract of Concert as TypeScript. Everything under gen/ is generated from proto/ by
 * `npm run generate` and never edited.
 */
export * from './gen/google/protobuf/any.ts';
export * from './gen/google/rpc/status.ts';
export * from './gen/mail/certs/v1/certificate.ts';
export * from './gen/mail/certs/v1/identity_service.ts';
export * from './gen/mail/certs/v1/registry_service.ts';
export * from './gen/mail/certs/v1/subscription_service.ts';

/** The FileDescriptorSet of proto/, for server reflection. */
export const DESCRIPTOR_SET = new URL('../descriptors/mail.binpb', import.meta.url);
