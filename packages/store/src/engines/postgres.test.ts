import { afterAll, beforeAll, describe } from 'vitest';
import { annotationsSuite } from '../testing/annotations-suite.ts';
import { appendOnceSuite } from '../testing/append-once-suite.ts';
import { boundsSuite } from '../testing/bounds-suite.ts';
import { checkSuite } from '../testing/check-suite.ts';
import { directorySuite } from '../testing/directory-suite.ts';
import { loginsSuite } from '../testing/logins-suite.ts';
import { PostgresServer, postgresIsMissing } from '../testing/postgres-server.ts';
import { processesSuite } from '../testing/processes-suite.ts';
import { quotaSuite } from '../testing/quota-suite.ts';
import { rightsSuite } from '../testing/rights-suite.ts';
import { storeSuite } from '../testing/store-suite.ts';
import { sweepSuite } from '../testing/sweep-suite.ts';

describe.skipIf(postgresIsMissing())('on one server', () => {
  let server: PostgresServer;
  const create = () => server.createDatabase();

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server?.dispose());

  storeSuite('PostgreSQL', create);
  annotationsSuite('PostgreSQL', create);
  loginsSuite('PostgreSQL', create);
  sweepSuite('PostgreSQL', create);
  processesSuite('PostgreSQL', create);
  checkSuite('PostgreSQL', create);
  directorySuite('PostgreSQL', create);
  quotaSuite('PostgreSQL', create);
  appendOnceSuite('PostgreSQL', create);
  boundsSuite('PostgreSQL', create);
  rightsSuite('PostgreSQL', create);
});
