// The Node side of BenchmarkPackage.
import * as hopseal from "../npm/index.js";
import * as core from "../npm/core.js";
import { measure } from "./page/bench.js";

const since = performance.now();
await hopseal.init();
const init = performance.now() - since;
console.log(JSON.stringify({ ...(await measure(hopseal, core)), "init-ms": init }));
