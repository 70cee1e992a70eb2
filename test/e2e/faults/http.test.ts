/** Group TH of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { httpRows } from "./rows/http.ts";

runRows("TH", httpRows, { config: { agents: { allowed_origins: ["https://app.example"] } } });
