import { describe, expect, test } from "bun:test";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { createRejections, sourcePrefix } from "../../../src/audit/rejections.ts";

function collect(keysMax: number) {
  const drafts: RecordDraft[] = [];
  const audit = {
    append: (draft: RecordDraft) => {
      drafts.push(draft);
      return Promise.resolve({ logId: "l", seq: drafts.length });
    },
  };
  return { drafts, rejections: createRejections({ audit, keysMax }) };
}

const noise = (peer: string) =>
  ({
    event: "authn.failed",
    reason: "unauthenticated",
    binding: "http",
    peer,
    principal: undefined,
  }) as const;

describe("rejections", () => {
  test("L12: a flood costs one record at once and one count at the end of the period", () => {
    const { drafts, rejections } = collect(10);
    for (let sent = 0; sent < 1000; sent += 1) rejections.note(noise(`10.0.0.${sent % 250}`), 1);
    expect(drafts).toHaveLength(1);
    rejections.flush(2);
    expect(drafts.map((draft) => draft.facts.count)).toEqual([1, 999]);
    rejections.flush(3);
    expect(drafts).toHaveLength(2);
  });

  test("I-10: kinds over the bound are counted together, none is lost", () => {
    const { drafts, rejections } = collect(2);
    for (let network = 0; network < 5; network += 1) rejections.note(noise(`10.0.${network}.1`), 1);
    rejections.flush(2);
    const total = drafts.reduce((sum, draft) => sum + Number(draft.facts.count), 0);
    expect(total).toBe(5);
    expect(drafts.at(-1)?.facts.reason).toBe("other");
  });

  test("P17: one name in two tenants is counted twice, each under its tenant", () => {
    const { drafts, rejections } = collect(10);
    for (const tenant of ["a", "a:b", undefined, "a"]) {
      rejections.note({ ...noise("10.0.0.1"), principal: "user:i#s", tenant }, 1);
    }
    expect(drafts.map(({ facts }) => facts.tenant)).toEqual(["a", "a:b", undefined]);
  });

  test.each([
    ["127.0.0.1", "127.0.0.0/24"],
    ["::ffff:192.168.7.9", "192.168.7.0/24"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1", "fe80:0:0:0::/64"],
  ])("the network of %s is %s", (address, expected) => {
    expect(sourcePrefix(address)).toBe(expected);
  });
});
