export * from './authenticator.ts';
export * from './errors.ts';
export * from './login-desk.ts';
export * from './password.ts';
export * from './sasl/plain.ts';
export * from './sasl/response.ts';
export * from './throttle.ts';
