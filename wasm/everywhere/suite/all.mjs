// All tests, in the order in which they run. With #run in its address the page runs them by itself, for a person who
// looks; what needs a reload has its first step only.
import "./start.test.mjs";
import "./messages.test.mjs";
import "./stores.test.mjs";
import "./accounts.test.mjs";
import "./relay.test.mjs";
import "./sessions.test.mjs";
import "./vectors.test.mjs";
import "./workers.test.mjs";
import { problems, same, test } from "./page.mjs";

test("nothing was thrown at the page", () => same(problems, []));

window.suite.ready = true;

if (location.hash === "#run") await showAll();

async function showAll() {
  const list = document.body.appendChild(document.createElement("ol"));
  for (const { name } of window.suite.tests()) {
    const line = list.appendChild(document.createElement("li"));
    line.textContent = `${name} …`;
    const said = await window.suite.run(name, 0).then(
      (text) => `: good ${text ?? ""}`,
      (error) => `: BAD: ${error.stack}`,
    );
    line.textContent = name + said;
  }
}
