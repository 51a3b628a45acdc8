package wasmbuild

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// buildSection is the custom section of core.wasm that holds the build id: a
// browser reads it from the compiled module, before anything of it runs.
const buildSection = "hopseal.build"

// appendSection appends a custom section (WebAssembly core specification, section
// 5.5.3), which may stand anywhere between the others.
func appendSection(module []byte, name string, content []byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(name))) // LEB128, as in wasm
	body = append(append(body, name...), content...)
	module = binary.AppendUvarint(append(module, 0), uint64(len(body)))
	return append(module, body...)
}

// runtimeTemplate wraps wasm_exec.js, which is written for a page of its own and
// sets globalThis.Go, fs, process and path. Here it sees a globalThis of its own:
// what it sets stays there, what it reads falls through to the page's. That goes
// for Node too, so that the core runs the same there and sees no files.
//
// Its timers are wrapped as well: what the core throws in one is reported and not
// thrown at the page, and a timer does not keep a Node process alive.
//
// Go is resumed again, behind the core's export settle, until the timer that it sets is the same. The
// runtime may set one that is too late: where it clears stopped timers away, timers.check returns the
// time of the heap's first timer, and not that of a timer which was reset to an earlier time. On other
// systems the scheduler looks again before it waits; for js it does not (runtime/time.go, Go 1.26).
const runtimeTemplate = `
export const buildId = %q;

/**
 * Returns the toolchain's class Go. failed is called with what a timer threw.
 */
export function loadGo(failed) {
  const own = Object.assign(Object.create(null), { fs: undefined, process: undefined, path: undefined });
  const scope = new Proxy(own, {
    get: (_, name) => (name in own ? own[name] : globalThis[name]),
    has: (_, name) => name in own || name in globalThis,
  });
  let deadline = 0; // of the timer that Go set last
  const timeout = (run, delay) => {
    deadline = performance.now() + delay;
    const timer = setTimeout(() => {
      try {
        run();
      } catch (error) {
        failed(error);
      }
    }, delay);
    timer?.unref?.();
    return timer;
  };
  wasmExec(scope, timeout);
  const resume = own.Go.prototype._resume;
  own.Go.prototype._resume = function () {
    resume.call(this);
    for (let [was, round] = [NaN, 0]; round < 8 && !this.exited && !(Math.abs(deadline - was) < 2); round++) {
      was = deadline;
      this._inst.exports.settle?.();
      resume.call(this);
    }
  };
  return own.Go;
}

function wasmExec(globalThis, setTimeout) {
%s}
`

// bareFS matches the one place where wasm_exec.js names a global of its own
// without globalThis.
var bareFS = regexp.MustCompile(`([^.\w])fs\.writeSync\(`)

func runtimeSource(in input, r Report) ([]byte, error) {
	source := string(in.wasmExec)
	if len(bareFS.FindAllString(source, -1)) != 1 || !strings.Contains(source, "globalThis.Go = class") {
		return nil, errors.New("wasmbuild: wasm_exec.js of " + in.goVersion + " is not as this code knows it")
	}
	source = bareFS.ReplaceAllString(source, "${1}globalThis.fs.writeSync(")
	var b bytes.Buffer
	b.WriteString(head{in.goVersion, in.digest, r.SHA256, r.BuildID}.String())
	fmt.Fprintf(&b, runtimeTemplate, r.BuildID, source)
	return b.Bytes(), nil
}

// A head is how runtime.js starts: what it was made of and belongs to.
type head struct{ goVersion, inputs, core, buildID string }

const headFormat = `// Made by "go run ./wasm/build" from the wasm_exec.js of %s; do not edit.
// inputs: sha256 %s
// core.wasm: sha256 %s, build id %s
`

func (h head) String() string {
	return fmt.Sprintf(headFormat, h.goVersion, h.inputs, h.core, h.buildID)
}

var headPattern = regexp.MustCompile(`^// Made by .* of (\S+); do not edit\.
// inputs: sha256 ([0-9a-f]{64})
// core\.wasm: sha256 ([0-9a-f]{64}), build id ([0-9a-f]{32})
`)

func parseHead(runtime []byte) (head, bool) {
	m := headPattern.FindSubmatch(runtime)
	if m == nil {
		return head{}, false
	}
	return head{string(m[1]), string(m[2]), string(m[3]), string(m[4])}, true
}
