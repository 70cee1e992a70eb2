/** What reflection answers, question by question. */
import { describe, expect, test } from "bun:test";
import { buildDescriptorIndex } from "../../../src/admin/descriptor-index.ts";
import { reflect } from "../../../src/admin/reflection.ts";
import descriptorSet from "../../../src/gen/file-descriptor-set.json";

const index = buildDescriptorIndex(Buffer.from(descriptorSet.base64, "base64"));
const ask = (question: object) =>
  reflect({ index: () => index, services: ["a.B"] }, { host: "", ...question });
const space = "mcp_gateway.admin.v1";

describe("reflect", () => {
  test.each([
    `${space}.ClientService`,
    `${space}.ClientService.RegisterClient`,
    `${space}.ClientLimits`,
    `.${space}.Client`,
  ])("file of %s, dependencies included", (symbol) => {
    const names = index.bySymbol(symbol)?.map((file) => file.name);
    expect(names).toEqual(
      ["client_service", "resources"].map((f) => `mcp_gateway/admin/v1/${f}.proto`),
    );
    expect(ask({ file_containing_symbol: symbol })).toHaveProperty("file_descriptor_response");
  });

  test("nested types and files by name are found", () => {
    expect(index.bySymbol("grpc.health.v1.HealthCheckResponse.ServingStatus")).toHaveLength(1);
    expect(index.byFilename("mcp_gateway/admin/v1/resources.proto")).toHaveLength(1);
    expect(ask({ list_services: "" })).toEqual({
      list_services_response: { service: [{ name: "a.B" }] },
    });
  });

  test.each([
    [{ file_containing_symbol: "no.Such" }, 5],
    [{ file_containing_symbol: "" }, 5],
    [{ file_by_filename: "../etc/passwd" }, 5],
    [{ file_containing_extension: { containing_type: "x" } }, 5],
    [{ all_extension_numbers_of_type: "no.Such" }, 5],
    [{}, 3],
  ])("%p is an in-band error", (question, code) => {
    expect(ask(question)).toMatchObject({ error_response: { error_code: code } });
  });

  test("a type without extensions has none", () => {
    const answer = ask({ all_extension_numbers_of_type: `${space}.Client` });
    expect(answer).toMatchObject({ all_extension_numbers_response: { extension_number: [] } });
  });
});
