export { PostgresServer, postgresIsMissing } from './postgres-server.ts';
