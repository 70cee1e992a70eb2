/** Which addresses and URLs may be dialled (UP-01 to UP-05). */
import { describe, expect, test } from "bun:test";
import { checkedUrl, createEgressLookup, refusedAddress } from "../../../src/servers/egress.ts";

describe("refusedAddress", () => {
  const rows: readonly [string, boolean][] = [
    ["93.184.216.34", true],
    ["2606:2800:220:1::1", true],
    ["127.0.0.1", false],
    ["127.255.0.9", false],
    ["0.0.0.0", false],
    ["10.1.2.3", false],
    ["172.31.255.255", false],
    ["172.32.0.1", true],
    ["192.168.0.1", false],
    ["169.254.169.254", false],
    ["100.64.0.1", false],
    ["100.128.0.1", true],
    ["224.0.0.1", false],
    ["255.255.255.255", false],
    ["198.18.0.1", false],
    ["::", false],
    ["::1", false],
    ["::ffff:127.0.0.1", false],
    ["::ffff:7f00:1", false],
    ["::ffff:8.8.8.8", true],
    ["fe80::1", false],
    ["fe80::1%eth0", false],
    ["fec0::1", false],
    ["fd00::1", false],
    ["ff02::1", false],
    ["2002:7f00:1::", false],
    ["64:ff9b::7f00:1", false],
    ["64:ff9b:1::1", false],
    ["2001::1", false],
    ["2001:db8::1", false],
    ["localhost", false],
    ["", false],
  ];
  test.each(rows)("UP-01 UP-04 %s may be dialled: %p", (address, mayDial) => {
    expect(refusedAddress(address) === undefined).toBe(mayDial);
  });
});

describe("checkedUrl", () => {
  const rows: readonly [string, "http" | "websocket", boolean, boolean][] = [
    ["https://example.com/mcp", "http", false, true],
    ["http://example.com/mcp", "http", false, false],
    ["http://example.com/mcp", "http", true, true],
    ["wss://example.com", "websocket", false, true],
    ["ws://example.com", "websocket", false, false],
    ["ws://localhost:1", "websocket", true, true],
    ["https://example.com", "websocket", true, false],
    ["file:///etc/passwd", "http", true, false],
    ["data:text/plain,x", "http", true, false],
    ["blob:https://x/y", "http", true, false],
    ["s3://bucket/x", "http", true, false],
    ["https://a@b.example/", "http", false, false],
    ["https://a:b@c.example/", "http", true, false],
    ["https://127.1/", "http", false, false],
    ["https://0x7f.1/", "http", false, false],
    ["https://2130706433/", "http", false, false],
    ["https://\u2460\u2461\u2466.0.0.1/", "http", false, false],
    ["https://[::ffff:127.0.0.1]/", "http", false, false],
    ["https://[::1]/", "http", false, false],
    ["not a url", "http", true, false],
  ];
  test.each(rows)(
    "UP-02 UP-03 %s for %s, private allowed %p: %p",
    (text, schemes, isPrivate, ok) => {
      const check = () => checkedUrl(text, schemes, isPrivate).href;
      if (ok) expect(check()).toContain("://");
      else expect(check).toThrow("Invalid server address");
    },
  );
});

describe("createEgressLookup", () => {
  const lookUp = (addresses: readonly string[], isPrivate: boolean, all: boolean) =>
    new Promise<unknown>((resolve) => {
      const resolveName = (_name: string, _options: object, done: unknown) =>
        (done as (error: null, found: object[]) => void)(
          null,
          addresses.map((address) => ({ address, family: 4 })),
        );
      const lookup = createEgressLookup(isPrivate, 2, resolveName as never);
      lookup("name.example", { all }, (error, address) => resolve(error?.code ?? address));
    });

  test("UP-05 one private address among the answers refuses the name", async () => {
    expect(await lookUp(["8.8.8.8", "10.0.0.1"], false, true)).toBe("EGRESS_REFUSED");
    expect(await lookUp(["8.8.8.8", "8.8.4.4", "10.0.0.1"], false, true)).toBe("EGRESS_REFUSED");
    expect(await lookUp([], false, true)).toBe("EGRESS_REFUSED");
  });

  test("dials the addresses it checked, a bounded number of them", async () => {
    expect(await lookUp(["8.8.8.8"], false, false)).toBe("8.8.8.8");
    expect(await lookUp(["8.8.8.8", "8.8.4.4", "1.1.1.1"], false, true)).toHaveLength(2);
    expect(await lookUp(["127.0.0.1"], true, false)).toBe("127.0.0.1");
  });
});
