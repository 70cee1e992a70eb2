/**
 * Proves the container image without Docker: lays out the same files, makes them read-only, and runs the executable
 * inside them by chroot, as the image's user, with /proc, /dev/null and the data folder as a container has them.
 * Ends with `N passed, N failed`. Needs root; without it, it says so and counts nothing as passed.
 */
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executable } from "./build.ts";
import { executablePath, imageUser, listLibraries, stageImage } from "./stage-image.ts";

const startTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;

interface Proof {
  readonly name: string;
  readonly holds: boolean;
  readonly seen: string;
}

/** Mounts last as long as the private namespace: nothing is left behind however this ends. */
const enter = `
set -e
mount --make-rprivate /
mount --bind "$IMAGE_ROOT" "$IMAGE_ROOT"
mount -t tmpfs -o mode=755 none "$IMAGE_ROOT/dev"
for node in null zero urandom random; do touch "$IMAGE_ROOT/dev/$node"; mount --bind "/dev/$node" "$IMAGE_ROOT/dev/$node"; done
mount --bind "$IMAGE_ROOT/data" "$IMAGE_ROOT/data"
mount -t proc proc "$IMAGE_ROOT/proc" 2>/dev/null || mount --rbind /proc "$IMAGE_ROOT/proc"
mount -o remount,bind,ro "$IMAGE_ROOT"
exec chroot --userspec=${imageUser.id}:${imageUser.id} "$IMAGE_ROOT" "$@"
`;

function inImage(root: string, args: readonly string[]) {
  return Bun.spawn(["unshare", "--mount", "sh", "-c", enter, "sh", executablePath, ...args], {
    env: { IMAGE_ROOT: root, PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/data" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function proveHelp(root: string): Promise<Proof> {
  const child = inImage(root, ["--help"]);
  const seen = await new Response(child.stdout).text();
  const error = await new Response(child.stderr).text();
  const holds = (await child.exited) === 0 && seen.includes("serve");
  return { name: "--help answers", holds, seen: `${seen.split("\n")[0]} ${error.trim()}` };
}

/** Starts, listens, answers its readiness, ends by itself on SIGTERM. */
async function proveServe(root: string): Promise<readonly Proof[]> {
  const ports = ["--port=0", "--admin-port=0", "--ops-port=0"];
  const child = inImage(root, ["serve", "--data-dir", "/data", ...ports]);
  const stderr = new Response(child.stderr).text();
  const killer = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs);
  const line = await firstLineWith(child.stdout, '"event":"listening"');
  clearTimeout(killer);
  if (line === undefined) {
    child.kill("SIGKILL");
    return [{ name: "serve listens", holds: false, seen: (await stderr).trim() }];
  }
  const ops = String(JSON.parse(line).ops).replace(/^https?:\/\//, "");
  const ready = await fetch(`http://${ops}/health/ready`).catch((error) => ({
    status: `${error}`,
  }));
  child.kill("SIGTERM");
  const stopper = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  const exitCode = await child.exited;
  clearTimeout(stopper);
  return [
    { name: "serve listens", holds: true, seen: line },
    { name: "/health/ready answers 200", holds: ready.status === 200, seen: String(ready.status) },
    { name: "SIGTERM ends it with 0", holds: exitCode === 0, seen: String(exitCode) },
  ];
}

async function firstLineWith(
  stream: ReadableStream<Uint8Array>,
  words: string,
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return undefined;
    text += decoder.decode(value, { stream: true });
    const whole = text.split("\n").slice(0, -1);
    const found = whole.find((line) => line.includes(words));
    if (found !== undefined) return found;
  }
}

async function prove(): Promise<readonly Proof[]> {
  const root = mkdtempSync(join(tmpdir(), "mcp-gateway-image-"));
  try {
    stageImage(root);
    // A temporary folder is its maker's alone; an image's root is everybody's.
    chmodSync(root, 0o755);
    chownSync(join(root, "data"), imageUser.id, imageUser.id);
    const libraries = listLibraries(executable);
    const five = {
      name: "five libraries",
      holds: libraries.length === 5,
      seen: libraries.join(" "),
    };
    return [five, await proveHelp(root), ...(await proveServe(root))];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

if (process.getuid?.() !== 0) {
  console.log("SKIPPED: proving the image needs root, for chroot and mounts\n\n1 skipped");
  console.log("0 passed, 0 failed");
} else {
  const proofs = await prove();
  for (const { name, holds, seen } of proofs) {
    console.log(`${holds ? "ok" : "FAILED"}: ${name}${holds ? "" : `\n  ${seen}`}`);
  }
  const passed = proofs.filter((one) => one.holds).length;
  console.log(`${passed} passed, ${proofs.length - passed} failed`);
  process.exitCode = passed === proofs.length ? 0 : 1;
}
