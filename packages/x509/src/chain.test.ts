import type { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleBundle } from './chain.ts';
import { CertificateError, type CheckCode } from './errors.ts';
import {
  daysFromNow,
  ecKey,
  hierarchy,
  type Issued,
  issue,
} from './testing/certificate-factory.ts';
import { TrustAnchors } from './trust-anchors.ts';

const { root, intermediate, leaf } = hierarchy();

const anchorsOf = (...issued: Issued[]): TrustAnchors =>
  new TrustAnchors(issued.map(({ certificate }) => certificate.toString()));

function assemble(issued: Issued[], keys: Issued[], anchors?: TrustAnchors) {
  const material = {
    certificates: issued.map(({ certificate }) => certificate),
    privateKeys: keys.map(({ privateKey }) => privateKey),
  };
  return assembleBundle(material, anchors === undefined ? {} : { anchors });
}

function chainOf(issued: Issued[], keys: Issued[], anchors?: TrustAnchors): X509Certificate[] {
  return [...assemble(issued, keys, anchors).bundle.chain];
}

function failuresOf(issued: Issued[], keys: Issued[], anchors?: TrustAnchors): CheckCode[] {
  try {
    assemble(issued, keys, anchors);
  } catch (error) {
    if (error instanceof CertificateError) {
      expect(error.code).toBe(error.checks[0]?.code);
      return error.checks.map(({ code }) => code);
    }
    throw error;
  }
  return [];
}

describe('assembleBundle', () => {
  it('sorts any order, and leaves the root out', () => {
    const deep = issue({ subject: 'Deep', ca: true, issuer: intermediate });
    const end = issue({ subject: 'end', issuer: deep });
    fc.assert(
      fc.property(
        fc.shuffledSubarray([root, intermediate, deep, end], { minLength: 4 }),
        (shuffled) => {
          expect(chainOf(shuffled, [end])).toEqual([
            end.certificate,
            deep.certificate,
            intermediate.certificate,
          ]);
          expect(assemble(shuffled, [end]).checks).toEqual([]);
        },
      ),
      { numRuns: 24 },
    );
  });

  it('takes a leaf that the root signed itself, when the root is given', () => {
    const direct = issue({ subject: 'direct', issuer: root });
    expect(chainOf([root, direct], [direct])).toEqual([direct.certificate]);
    expect(failuresOf([direct], [direct])).toEqual(['chain-incomplete']);
    expect(chainOf([direct], [direct], anchorsOf(root))).toEqual([direct.certificate]);
  });

  it('takes a self-signed leaf', () => {
    const self = issue({ subject: 'self' });
    expect(chainOf([self], [self])).toEqual([self.certificate]);
    const selfCa = issue({ subject: 'self', ca: true });
    expect(chainOf([selfCa], [selfCa])).toEqual([selfCa.certificate]);
  });

  it('refuses a leaf without its intermediate', () => {
    expect(failuresOf([leaf], [leaf], anchorsOf(root))).toEqual(['chain-incomplete']);
    expect(failuresOf([leaf, root], [leaf])).toEqual(['chain-incomplete', 'unrelated-certificate']);
  });

  it('warns of an intermediate whose issuer nobody knows', () => {
    const { bundle, checks } = assemble([leaf, intermediate], [leaf]);
    expect(bundle.chain).toHaveLength(2);
    expect(checks).toMatchObject([{ code: 'chain-incomplete', severity: 'warning' }]);
    expect(assemble([leaf, intermediate], [leaf], anchorsOf(root)).checks).toEqual([]);
  });

  it('refuses certificates of other chains', () => {
    const foreign = hierarchy({}, 'Foreign');
    expect(failuresOf([leaf, intermediate, root, foreign.intermediate], [leaf])).toEqual([
      'unrelated-certificate',
    ]);
  });

  it('goes by signature, not by name', () => {
    const impostor = issue({ subject: 'Test Intermediate', ca: true, issuer: root });
    expect(failuresOf([leaf, impostor], [leaf])).toEqual(['chain-disorder']);
    expect(failuresOf([leaf, impostor, intermediate], [leaf], anchorsOf(root))).toEqual([
      'unrelated-certificate',
    ]);
  });

  it('does not take a certificate that is no CA for an issuer', () => {
    const notCa = issue({ subject: 'Not a CA', issuer: root });
    const end = issue({ subject: 'end', issuer: notCa });
    expect(failuresOf([end, notCa, root], [end])).toContain('chain-disorder');
  });

  it('refuses issuers that go in a circle', () => {
    const [a, b] = [ecKey(), ecKey()];
    const rootA = issue({ subject: 'A', ca: true, privateKey: a });
    const bByA = issue({ subject: 'B', ca: true, privateKey: b, issuer: rootA });
    const aByB = issue({ subject: 'A', ca: true, privateKey: a, issuer: bByA });
    const end = issue({ subject: 'end', issuer: bByA });
    expect(failuresOf([end, bByA, aByB], [end])).toEqual(['chain-disorder']);
    expect(chainOf([end, bByA, aByB, rootA], [end])).toEqual([end.certificate, bByA.certificate]);
  });

  it('refuses endless chains', () => {
    const issued = [root];
    for (let i = 0; i < 9; i++) {
      issued.push(issue({ subject: `CA ${i}`, ca: true, issuer: issued.at(-1) ?? root }));
    }
    const end = issue({ subject: 'end', issuer: issued.at(-1) ?? root });
    expect(failuresOf([...issued, end], [end])).toEqual(['chain-disorder']);
  });

  describe('with cross-signed intermediates', () => {
    const oldRoot = issue({ subject: 'Old Root', ca: true });
    const cross = issue({
      subject: 'Test Root',
      ca: true,
      privateKey: root.privateKey,
      issuer: oldRoot,
    });

    it('prefers the path to a root that is known', () => {
      const twin = issue({
        subject: 'Test Intermediate',
        ca: true,
        privateKey: intermediate.privateKey,
        issuer: oldRoot,
      });
      const both = [leaf, intermediate, twin];
      expect(chainOf(both, [leaf], anchorsOf(oldRoot))).toEqual([
        leaf.certificate,
        twin.certificate,
      ]);
      expect(chainOf(both, [leaf], anchorsOf(root))).toEqual([
        leaf.certificate,
        intermediate.certificate,
      ]);
    });

    it('keeps the longest complete path, and takes a cross-signed anchor for one', () => {
      const longest = [leaf.certificate, intermediate.certificate, cross.certificate];
      expect(chainOf([cross, intermediate, leaf], [leaf], anchorsOf(root))).toEqual(longest);
      expect(chainOf([cross, intermediate, leaf, oldRoot, root], [leaf])).toEqual(longest);
    });

    it('chooses the same path whatever the order', () => {
      const twins = [1, 2, 3].map((days) =>
        issue({
          subject: 'Test Intermediate',
          ca: true,
          privateKey: intermediate.privateKey,
          issuer: root,
          notAfter: daysFromNow(days),
        }),
      );
      fc.assert(
        fc.property(fc.shuffledSubarray([leaf, root, ...twins], { minLength: 5 }), (shuffled) => {
          expect(chainOf(shuffled, [leaf])[1]).toEqual(twins[2]?.certificate);
        }),
        { numRuns: 20 },
      );
    });

    it('stays fast where every certificate has many twins', () => {
      const issued: Issued[] = [];
      let issuers = [root];
      for (let level = 0; level < 6; level++) {
        const privateKey = ecKey();
        const [issuer = root] = issuers;
        issuers = Array.from({ length: 4 }, () =>
          issue({ subject: `CA ${level}`, ca: true, privateKey, issuer }),
        );
        issued.push(...issuers);
      }
      const end = issue({ subject: 'end', issuer: issuers[0] ?? root });
      expect(chainOf([...issued, root, end], [end])).toHaveLength(7);
    });
  });

  describe('finding the leaf', () => {
    const other = issue({ subject: 'other', issuer: intermediate });
    const chain = [leaf, intermediate, root];

    it.each<[what: string, certificates: Issued[], keys: Issued[], codes: CheckCode[]]>([
      ['no key', chain, [], ['key-missing']],
      ['no certificate', [], [leaf], ['leaf-missing']],
      ['nothing', [], [], ['leaf-missing', 'key-missing']],
      ['only authorities, no key', [intermediate, root], [], ['leaf-missing', 'key-missing']],
      ['only authorities', [intermediate, root], [leaf], ['leaf-missing']],
      ["another certificate's key", chain, [other], ['key-mismatch']],
      ['a second key', chain, [leaf, other], ['key-mismatch']],
      [
        'a second certificate with its key',
        [...chain, other],
        [leaf, other],
        ['unrelated-certificate', 'unrelated-certificate'],
      ],
      ["the CA's key", chain, [leaf, intermediate], ['unrelated-certificate']],
    ])('%s', (_, certificates, keys, codes) => {
      expect(failuresOf(certificates, keys)).toEqual(codes);
    });

    it('says what to do in each finding', () => {
      try {
        assemble([leaf, root], [leaf]);
        expect.unreachable();
      } catch (error) {
        if (!(error instanceof CertificateError)) throw error;
        for (const check of error.checks) {
          expect(check.severity).toBe('error');
          expect(check.message).toMatch(/\.$/);
          expect(check.remedy).toMatch(/\.$/);
        }
        expect(error.message).toContain('CN=Test Intermediate');
      }
    });
  });
});

describe('TrustAnchors', () => {
  it('reads all public roots', () => {
    const anchors = new TrustAnchors(rootCertificates);
    expect(anchors.reachedBy(leaf.certificate)).toBe(false);
  });
});
