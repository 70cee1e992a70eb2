/**
 * The standard reflection service, v1 and v1alpha, from the raw descriptors. Ours because the npm package re-encodes
 * them and reads files of the build machine. What it shows is public, who may look is still `server.ts`'s option.
 */
import { type handleBidiStreamingCall, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { createYielder } from "../lib/yielding.ts";
import type { DescriptorFile, DescriptorIndex } from "./descriptor-index.ts";
import type { IncomingCall } from "./grpc-call.ts";
import { toFault, toStatus } from "./grpc-status.ts";

interface ReflectionRequest {
  readonly host: string;
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
  readonly file_containing_extension?: { readonly containing_type: string } | null;
  readonly all_extension_numbers_of_type?: string;
  readonly list_services?: string;
}

export interface ReflectionOptions {
  readonly index: () => DescriptorIndex;
  /** Full names of the services to list: those that the server really offers. */
  readonly services: readonly string[];
  /** Throws GatewayError where the caller may not look. */
  readonly admit: (call: IncomingCall) => void;
  /** Questions answered on one stream. */
  readonly requestsMax: number;
}

type ReflectionCall = ServerDuplexStream<ReflectionRequest, object>;

export function createReflection(options: ReflectionOptions): {
  readonly ServerReflectionInfo: handleBidiStreamingCall<ReflectionRequest, object>;
} {
  return {
    ServerReflectionInfo(call) {
      try {
        options.admit(call);
      } catch (error) {
        call.emit("error", toStatus(toFault(error)));
        return;
      }
      answerAll(options, call);
    },
  };
}

/** One question at a time: the next is read when the answer to the last has been taken. */
function answerAll(options: ReflectionOptions, call: ReflectionCall): void {
  const mayYield = createYielder();
  let answered = 0;
  call.on("data", async (request: ReflectionRequest) => {
    call.pause();
    answered += 1;
    if (answered > options.requestsMax) {
      call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "too many questions" });
      return;
    }
    await mayYield();
    const answer = { valid_host: request.host, original_request: request };
    if (call.write({ ...answer, ...reflect(options, request) })) call.resume();
    else call.once("drain", () => call.resume());
  });
  call.on("end", () => call.end());
}

/** The answer's one filled-in member. */
export function reflect(
  { index, services }: Pick<ReflectionOptions, "index" | "services">,
  request: ReflectionRequest,
): object {
  if (isAsked(request.list_services)) {
    return { list_services_response: { service: services.map((name) => ({ name })) } };
  }
  if (isAsked(request.file_by_filename)) {
    return filesOrNotFound(index().byFilename(request.file_by_filename), request.file_by_filename);
  }
  if (isAsked(request.file_containing_symbol)) {
    const symbol = request.file_containing_symbol;
    return filesOrNotFound(index().bySymbol(symbol), symbol);
  }
  if (isAsked(request.all_extension_numbers_of_type)) {
    const type = request.all_extension_numbers_of_type;
    if (index().bySymbol(type) === undefined) return failure(status.NOT_FOUND, type);
    return { all_extension_numbers_response: { base_type_name: type, extension_number: [] } };
  }
  if (isAsked(request.file_containing_extension)) {
    return failure(status.NOT_FOUND, "extension");
  }
  return { error_response: { error_code: status.INVALID_ARGUMENT, error_message: "no question" } };
}

function isAsked<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

function filesOrNotFound(files: readonly DescriptorFile[] | undefined, asked: string): object {
  if (files === undefined) return failure(status.NOT_FOUND, asked);
  return { file_descriptor_response: { file_descriptor_proto: files.map((one) => one.bytes) } };
}

function failure(code: status, asked: string): object {
  const error_message = `not found: ${asked.slice(0, 256)}`;
  return { error_response: { error_code: code, error_message } };
}
