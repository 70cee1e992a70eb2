/**
 * Runs the matrix: every client against every server through one compiled gateway. Servers stand side by side, a few at
 * once; the clients of one server come one after another, so that what a client hears is its own doing.
 */
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { within } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { registerClient } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import type { MatrixClient, Place } from "./clients/client.ts";
import { type ClientColumn, clientColumns } from "./clients/columns.ts";
import { features } from "./features/all.ts";
import { type ServerRow, serverRows } from "./servers/rows.ts";

export interface Cell {
  readonly client: string;
  readonly server: string;
  readonly feature: string;
  /** Why it does not work; undefined where it does. */
  readonly error: string | undefined;
}

const serversAtOnce = 3;
const connectMs = 60_000;
const featureMs = 60_000;

export interface Selection {
  readonly client?: string | undefined;
  readonly server?: string | undefined;
  readonly feature?: string | undefined;
}

const chosen = <T extends object>(all: readonly T[], name: (one: T) => string, only?: string) =>
  all.filter((one) => only === undefined || name(one) === only);

export async function runMatrix(selection: Selection = {}): Promise<readonly Cell[]> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder("matrix"));
  const gateway = stack.use(await startGateway());
  const admin = stack.use(createAdminClient(gateway));
  const token = await registerClient(admin, "matrix", {
    allowed_tools: ["*"],
    allowed_resources: ["note://*"],
    allowed_prompts: ["*"],
  });
  const tokenFile = join(folder.path, "token");
  await Bun.write(tokenFile, token);

  const waiting = [...chosen(serverRows, ({ id }) => id, selection.server)];
  const cells: Cell[] = [];
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      const place = { base: gateway.agents, scope: row.id, token, tokenFile };
      cells.push(...(await runRow(row, place, admin, selection)));
    }
  };
  await Promise.all(Array.from({ length: serversAtOnce }, work));
  return cells;
}

async function runRow(
  row: ServerRow,
  place: Place,
  admin: AdminClient,
  selection: Selection,
): Promise<readonly Cell[]> {
  const columns = chosen(clientColumns, ({ id }) => id, selection.client);
  if (row.start === undefined) {
    const error = row.exists?.() ? undefined : "the SDK has no such server";
    return columns.flatMap((column) => fill(column, row, error, selection));
  }
  const server = await row.start();
  await admin.call("ServerService", "RegisterServer", {
    server: { name: row.id, enabled: true, ...server.registration },
  });
  const cells: Cell[] = [];
  for (const column of columns) cells.push(...(await runPair(column, row, place, selection)));
  await server.stop();
  return cells;
}

async function runPair(
  column: ClientColumn,
  row: ServerRow,
  place: Place,
  selection: Selection,
): Promise<readonly Cell[]> {
  let client: MatrixClient;
  try {
    client = await within("connecting", column.connect(place), connectMs);
  } catch (error) {
    return fill(column, row, messageOf(error), selection);
  }
  const cells: Cell[] = [];
  for (const { name, prove } of chosen(features, (one) => one.name, selection.feature)) {
    const error = await within(name, prove(client), featureMs).then(() => undefined, messageOf);
    cells.push({ client: column.id, server: row.id, feature: name, error });
  }
  await within("closing", Promise.resolve(client[Symbol.asyncDispose]()), connectMs);
  return cells;
}

/** The same for every feature. */
function fill(
  column: ClientColumn,
  row: ServerRow,
  error: string | undefined,
  selection: Selection,
): readonly Cell[] {
  return chosen(features, (one) => one.name, selection.feature).map(({ name }) => ({
    client: column.id,
    server: row.id,
    feature: name,
    error,
  }));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
