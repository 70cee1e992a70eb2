/**
 * What an operator does before agents may work, in the words of the admin plane: registers servers, clients and
 * rules over gRPC. Used by the end-to-end and fault suites; asserts nothing.
 */
import type { AdminClient, AdminMessage } from "./admin-client.ts";

/** Limits that never get in the way of a test that is about something else. */
export const generousLimits = {
  requests_per_minute: 10_000_000,
  burst: 1_000_000,
  tool_requests_per_minute: 10_000_000,
  tool_burst: 1_000_000,
  max_in_flight: 10_000,
};

/** Registers a Streamable HTTP server on loopback. */
export async function registerHttpServer(
  admin: AdminClient,
  name: string,
  url: string,
  more: AdminMessage = {},
): Promise<void> {
  await admin.call("ServerService", "RegisterServer", {
    server: {
      name,
      enabled: true,
      allow_private_network: true,
      remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP", url },
      ...more,
    },
  });
}

/**
 * Registers a client and returns its token. Its limits never get in the way: a test that waits for an answer asks as
 * often as the machine is quick, and who is refused too often is put aside. Tests of limits give their own.
 */
export async function registerClient(
  admin: AdminClient,
  id: string,
  more: AdminMessage = {},
): Promise<string> {
  const answer = await admin.call<{ token: string }>("ClientService", "RegisterClient", {
    client: { id, enabled: true, limits: generousLimits, ...more },
  });
  return answer.token;
}

export interface RecordView {
  readonly log_id: string;
  readonly seq: number;
  readonly leaf: string;
  readonly event: string;
  readonly status: string;
  readonly correlation_id: string;
  readonly tool: string;
  readonly server: string;
  readonly scope: string;
  readonly method: string;
  readonly principal: string;
  readonly client: string;
  readonly session: string;
  readonly decision: string;
  readonly durability: string;
  readonly time_ms: number;
  readonly envelope_json: string;
  readonly details_json: string;
  readonly seal_state: string;
  readonly sealed_json: string;
  readonly arguments_digest: string;
}

/** Every record that matches, oldest first, over all pages. */
export async function allRecords(
  admin: AdminClient,
  filter: AdminMessage = {},
  includePruned = false,
): Promise<readonly RecordView[]> {
  const records: RecordView[] = [];
  let pageToken = "";
  do {
    const page = await admin.call<{ records: RecordView[]; next_page_token: string }>(
      "AuditService",
      "QueryRecords",
      {
        filter,
        order: "RECORD_ORDER_OLDEST_FIRST",
        page_size: 1000,
        page_token: pageToken,
        include_pruned: includePruned,
      },
    );
    records.push(...page.records);
    pageToken = page.next_page_token;
  } while (pageToken !== "");
  return records;
}
