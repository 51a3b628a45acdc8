// All tests, in the order in which they run.
import "./start.test.mjs";
import "./messages.test.mjs";
import "./stores.test.mjs";
import "./relay.test.mjs";
import "./sessions.test.mjs";
import "./vectors.test.mjs";
import "./workers.test.mjs";
import { problems, same, test } from "./page.mjs";

test("nothing was thrown at the page", () => same(problems, []));

window.suite.ready = true;
