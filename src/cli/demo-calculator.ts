/**
 * The sample calculator as a separate process of this same executable, for the demo.
 */
import { selfCommand } from "./self.ts";

export interface CalculatorProcess {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it on a free port and resolves when it listens; rejects with what it said where it does not. */
export async function startCalculatorProcess(
  environment: Readonly<Record<string, string>>,
): Promise<CalculatorProcess> {
  const child = Bun.spawn([...selfCommand, "sample", "calculator", "--port", "0"], {
    env: { ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const close = async () => {
    child.kill("SIGTERM");
    await child.exited;
  };
  const line = await readLine(child.stdout);
  const told: unknown = line === "" ? undefined : JSON.parse(line);
  if (typeof told === "object" && told !== null && "url" in told) {
    return { url: String(told.url), close };
  }
  await close();
  throw new Error("the sample calculator did not start");
}

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = stream.getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return "";
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text.slice(0, text.indexOf("\n"));
}
