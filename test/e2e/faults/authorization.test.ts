/** Group AZ of the fault catalogue against the executable. */
import { runRows } from "../../support/fault-suite.ts";
import { authorizationRows } from "./rows/authorization.ts";
import { taskRows, taskScripts } from "./rows/tasks.ts";

runRows("AZ", authorizationRows);
runRows("AZ, tasks", taskRows, { scripts: taskScripts });
