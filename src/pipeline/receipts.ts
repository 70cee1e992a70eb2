/**
 * Receipts: who asks for one in `params._meta` gets the number and the leaf of the record of how the call ended, in the
 * result's `_meta` or in the error's `data`, and can have it proved later (`GetProof`). Pure: the audit stage knows the
 * number and asks for the leaf. Every other byte of the answer stays as it came.
 */
import {
  findMember,
  type JsonObject,
  memberText,
  objectMember,
  objectText,
  readObject,
  withMembers,
} from "../protocol/json-view.ts";
import type { McpRequest, Outcome, ServerErrorBody } from "../protocol/messages.ts";

export const receiptKey = "io.mcp-gateway/receipt";

export interface Receipt {
  readonly log: string;
  readonly seq: number;
  /** Hex; missing where the notary could not be asked in time. */
  readonly leaf?: string;
}

const quotedKey = `"${receiptKey}"`;

export function wantsReceipt(request: McpRequest | undefined): boolean {
  // Nearly no request asks, and those that do not pay for one search.
  if (request?.params === undefined || !request.params.text.includes(quotedKey)) return false;
  const meta = objectMember(request.params, "_meta");
  return meta !== undefined && memberText(meta, receiptKey) === "true";
}

/**
 * The outcome with its receipt; without one nothing stands there, whatever a server wrote: who asked shall not take a
 * server's word for the gateway's.
 */
export function withReceipt(outcome: Outcome, receipt: Receipt | undefined): Outcome {
  switch (outcome.kind) {
    case "result":
      return { kind: "result", result: withMember(outcome.result, "_meta", receipt) };
    case "error":
      return { kind: "error", error: errorWith(outcome.error, receipt) };
    case "fault": {
      if (receipt === undefined) return outcome;
      const told = { ...outcome.fault.data, [receiptKey]: receipt };
      return { kind: "fault", fault: { ...outcome.fault, data: told } };
    }
    default:
      return outcome satisfies never;
  }
}

/** `object[name]` with the receipt in it. What is there and no object holds no members, and stays as it is. */
function withMember(object: JsonObject, name: string, receipt: Receipt | undefined): JsonObject {
  const inner = objectMember(object, name);
  const text = receipt && JSON.stringify(receipt);
  if (inner === undefined) {
    if (text === undefined || findMember(object, name) !== undefined) return object;
    return withMembers(object, { [name]: `{${quotedKey}:${text}}` });
  }
  if (text === undefined && findMember(inner, receiptKey) === undefined) return object;
  return withMembers(object, { [name]: objectText(withMembers(inner, { [receiptKey]: text })) });
}

function errorWith(error: ServerErrorBody, receipt: Receipt | undefined): ServerErrorBody {
  const around = readObject(error.dataText === undefined ? "{}" : `{"data":${error.dataText}}`);
  const dataText = memberText(withMember(around, "data", receipt), "data");
  return dataText === error.dataText ? error : { ...error, dataText };
}
