/**
 * A TCP relay in front of a server whose connections can be cut in the middle, as a network does. Bytes pass as they
 * are. Asserts nothing.
 */
import { connect, createServer, type Socket } from "node:net";

export interface CutProxy extends AsyncDisposable {
  readonly port: number;
  /** Destroys every connection that is open; new ones are taken. */
  cut(): void;
  /** What agents sent so far, over all connections. */
  sent(): string;
}

export async function startCutProxy(port: number): Promise<CutProxy> {
  const open = new Set<Socket>();
  let sent = "";
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on("data", (chunk: Buffer) => {
        if (from === near) sent += chunk.toString("latin1");
        to.write(chunk);
      });
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: address.port,
    cut,
    sent: () => sent,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
