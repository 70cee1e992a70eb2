/** Which addresses and URLs may be dialled (UP-01 to UP-05). */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../../src/errors/fault.ts";
import { checkedUrl, createEgressLookup } from "../../../src/servers/egress.ts";

describe("checkedUrl", () => {
  type Reason = "scheme" | "userinfo" | "spelling" | "port" | "address" | "fine";
  /** What comes of it with public addresses alone, and with private networks allowed. */
  const rows: readonly [string, "http" | "websocket", Reason, Reason][] = [
    ["https://example.com/mcp", "http", "fine", "fine"],
    ["https://example.com:8443/mcp?a=b", "http", "fine", "fine"],
    ["HTTPS://EXAMPLE.com/mcp", "http", "fine", "fine"],
    ["https://8.8.8.8/mcp", "http", "fine", "fine"],
    ["https://[2001:4860:4860::8888]:443/", "http", "fine", "fine"],
    ["https://[::ffff:8.8.8.8]/", "http", "fine", "fine"],
    ["https://b\u00fccher.example/", "http", "fine", "fine"],
    ["https://xn--bcher-kva.example/", "http", "fine", "fine"],
    ["wss://example.com", "websocket", "fine", "fine"],
    ["http://example.com/mcp", "http", "scheme", "fine"],
    ["ws://example.com", "websocket", "scheme", "fine"],
    ["ws://localhost:1", "websocket", "scheme", "fine"],
    ["http://localhost:8080/mcp", "http", "scheme", "fine"],
    ["https://example.com", "websocket", "scheme", "scheme"],
    ["wss://example.com", "http", "scheme", "scheme"],
    ["file:///etc/passwd", "http", "scheme", "scheme"],
    ["data:text/plain,x", "http", "scheme", "scheme"],
    ["blob:https://x/y", "http", "scheme", "scheme"],
    ["s3://bucket/x", "http", "scheme", "scheme"],
    ["ftp://example.com/", "http", "scheme", "scheme"],
    ["gopher://example.com:70/_x", "http", "scheme", "scheme"],
    ["unix:/var/run/docker.sock", "http", "scheme", "scheme"],
    ["javascript:alert(1)", "http", "scheme", "scheme"],
    ["//example.com/", "http", "scheme", "scheme"],
    ["example.com", "http", "scheme", "scheme"],
    ["not a url", "http", "scheme", "scheme"],
    ["", "http", "scheme", "scheme"],
    ["https://", "http", "scheme", "scheme"],
    ["https://[::1%25lo]/", "http", "scheme", "scheme"],
    ["https://[::1%lo]/", "http", "scheme", "scheme"],
    ["https://[127.0.0.1]/", "http", "scheme", "scheme"],
    ["https://[::1/", "http", "scheme", "scheme"],
    ["https://example.com:70000/", "http", "scheme", "scheme"],
    ["https://1.2.3.4.5/", "http", "scheme", "scheme"],
    ["https://256.256.256.256/", "http", "scheme", "scheme"],
    ["https://exa mple.com/", "http", "scheme", "scheme"],
    ["https://%00.example.com/", "http", "scheme", "scheme"],
    ["https://a@b.example/", "http", "userinfo", "userinfo"],
    ["https://a:b@c.example/", "http", "userinfo", "userinfo"],
    ["https://:b@c.example/", "http", "userinfo", "userinfo"],
    ["https://example.com@127.0.0.1/", "http", "userinfo", "userinfo"],
    ["https://example.com%40127.0.0.1@8.8.8.8/", "http", "userinfo", "userinfo"],
    ["https://@b.example/", "http", "spelling", "spelling"],
    ["https:example.com/", "http", "spelling", "spelling"],
    ["https:/example.com/", "http", "spelling", "spelling"],
    ["https:///example.com/", "http", "spelling", "spelling"],
    ["https:\\\\example.com\\mcp", "http", "spelling", "spelling"],
    ["https://example.com\\@127.0.0.1/", "http", "spelling", "spelling"],
    ["https://exam\tple.com/", "http", "spelling", "spelling"],
    ["https://exam\nple.com/", "http", "spelling", "spelling"],
    [" https://example.com/", "http", "spelling", "spelling"],
    ["https://example.com/\r\nhost: x", "http", "spelling", "spelling"],
    ["https://example.com/a b", "http", "spelling", "spelling"],
    ["https://example%2ecom/", "http", "spelling", "spelling"],
    ["https://%31%32%37.0.0.1/", "http", "spelling", "spelling"],
    ["https://example.com./", "http", "spelling", "spelling"],
    ["https://localhost./", "http", "spelling", "spelling"],
    ["https://example.com\u3002/", "http", "spelling", "spelling"],
    ["https://127.1/", "http", "spelling", "spelling"],
    ["https://127.0.1/", "http", "spelling", "spelling"],
    ["https://127.0.0.1./", "http", "spelling", "spelling"],
    ["https://0x7f.1/", "http", "spelling", "spelling"],
    ["https://0x7f.0x0.0x0.0x1/", "http", "spelling", "spelling"],
    ["https://0x7f000001/", "http", "spelling", "spelling"],
    ["https://0177.0.0.1/", "http", "spelling", "spelling"],
    ["https://017700000001/", "http", "spelling", "spelling"],
    ["https://2130706433/", "http", "spelling", "spelling"],
    ["https://2852039166/", "http", "spelling", "spelling"],
    ["https://0xa9fea9fe/", "http", "spelling", "spelling"],
    ["https://0251.0376.0251.0376/", "http", "spelling", "spelling"],
    ["https://0/", "http", "spelling", "spelling"],
    ["https://134744072/", "http", "spelling", "spelling"],
    ["https://\u2460\u2461\u2466.0.0.1/", "http", "spelling", "spelling"],
    ["https://\uff11\uff12\uff17.0.0.1/", "http", "spelling", "spelling"],
    ["https://127\u30020\u30020\u30021/", "http", "spelling", "spelling"],
    ["https://127.0.0.1/", "http", "address", "fine"],
    ["https://10.0.0.1/", "http", "address", "fine"],
    ["https://192.168.1.1:8443/", "http", "address", "fine"],
    ["https://[::1]/", "http", "address", "fine"],
    ["https://[::ffff:127.0.0.1]/", "http", "address", "fine"],
    ["https://[::ffff:7f00:1]/", "http", "address", "fine"],
    ["https://[fd00::1]/", "http", "address", "fine"],
    ["https://localhost/", "http", "address", "fine"],
    ["https://LOCALHOST/", "http", "address", "fine"],
    ["https://a.localhost/", "http", "address", "fine"],
    ["https://printer.local/", "http", "address", "fine"],
    ["https://metadata.google.internal/", "http", "address", "fine"],
    ["https://router.lan/", "http", "address", "fine"],
    ["https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/", "http", "address", "fine"],
    ["https://169.254.169.254/latest/meta-data", "http", "address", "address"],
    ["https://[::ffff:169.254.169.254]/", "http", "address", "address"],
    ["https://[fd00:ec2::254]/", "http", "address", "address"],
    ["https://[fe80::1]/", "http", "address", "address"],
    ["https://[::]/", "http", "address", "address"],
    ["https://[::127.0.0.1]/", "http", "address", "address"],
    ["https://0.0.0.0/", "http", "address", "address"],
    ["https://255.255.255.255/", "http", "address", "address"],
    ["https://224.0.0.1/", "http", "address", "address"],
    ["https://100.100.100.200/", "http", "address", "address"],
    ["https://[64:ff9b::a9fe:a9fe]/", "http", "address", "address"],
    ["https://[2002:a9fe:a9fe::]/", "http", "address", "address"],
    ["https://example.com:25/", "http", "port", "fine"],
    ["https://example.com:22/", "http", "port", "fine"],
    ["https://example.com:6379/", "http", "port", "fine"],
    ["https://example.com:0/", "http", "port", "fine"],
    ["wss://example.com:11211/", "websocket", "port", "fine"],
  ];

  const reasonOf = (text: string, schemes: "http" | "websocket", isPrivate: boolean): Reason => {
    try {
      checkedUrl(text, schemes, isPrivate);
      return "fine";
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return error.fault.reason?.replace("egress-", "") as Reason;
    }
  };

  test.each(rows)("UP-02 UP-03 %j for %s: %s, private allowed: %s", (text, schemes, one, other) => {
    expect(reasonOf(text, schemes, false)).toBe(one);
    expect(reasonOf(text, schemes, true)).toBe(other);
  });
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
    const many = Array.from({ length: 10_000 }, (_, at) => `8.8.${at >> 8}.${at & 255}`);
    expect(await lookUp([...many, "10.0.0.1"], false, true)).toBe("EGRESS_REFUSED");
    expect(await lookUp(many, false, true)).toHaveLength(2);
  });

  test("UP-01 a metadata address is refused even where private networks are allowed", async () => {
    expect(await lookUp(["127.0.0.1", "169.254.169.254"], true, true)).toBe("EGRESS_REFUSED");
    expect(await lookUp(["not-an-address"], true, true)).toBe("EGRESS_REFUSED");
  });

  test("UP-05 each look-up is judged anew: a name that changes its answer is refused", async () => {
    const answers = ["8.8.8.8", "127.0.0.1"];
    const resolveName = (_name: string, _options: object, done: unknown) =>
      (done as (error: null, found: object[]) => void)(null, [
        { address: answers.shift() ?? "", family: 4 },
      ]);
    const lookup = createEgressLookup(false, 4, resolveName as never);
    const dial = () =>
      new Promise<unknown>((resolve) => {
        lookup("name.example", {}, (error, address) => resolve(error?.code ?? address));
      });
    expect(await dial()).toBe("8.8.8.8");
    expect(await dial()).toBe("EGRESS_REFUSED");
  });

  test("dials the addresses it checked, a bounded number of them", async () => {
    expect(await lookUp(["8.8.8.8"], false, false)).toBe("8.8.8.8");
    expect(await lookUp(["8.8.8.8", "8.8.4.4", "1.1.1.1"], false, true)).toHaveLength(2);
    expect(await lookUp(["127.0.0.1"], true, false)).toBe("127.0.0.1");
  });
});
