/** Group AZ of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { authorizationRows } from "./rows/authorization.ts";

runRows("AZ", authorizationRows);
