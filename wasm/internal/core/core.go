// Package core is the part of the npm package that runs inside WebAssembly: keys,
// envelopes and relay frames behind one function that takes bytes and gives bytes.
//
// JavaScript owns the socket, the timers and the storage. It calls Go with an operation's
// number and a request in the staging buffer. The call never blocks and leaves its response
// in the same buffer (fields.go has the layout). Such a call costs a fraction of a
// microsecond; one through syscall/js costs twenty.
//
// Go objects stay on this side. JavaScript holds handles: small integers that are
// never given out twice, so that a stale one is an error and never another object.
//
// The package knows nothing of wasm and is tested natively as well. Package wasm
// adds the exports.
package core

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Version of the protocol code, as init() reports it.
const Version = "0.1.0"

// MaxPlaintext is the largest message that is sealed here, in bytes.
const MaxPlaintext = 64 << 20

// MaxRequest is the largest request in bytes. The envelope of a message of MaxPlaintext is one,
// with its padding and any number of recipients; such a request, and what comes of it, fit
// wasm's memory with room to spare.
const MaxRequest = MaxPlaintext + MaxPlaintext/32 + 2<<20

// keepStaging is the largest staging buffer, in bytes, that is kept for the next call. The
// memory of an instance never shrinks, but Go can use a larger buffer's for something else.
const keepStaging = 1 << 20

// A Core is the state of one instance. Calls must not overlap; in JavaScript they
// cannot.
type Core struct {
	staging []byte // as long as its capacity
	objects objects
	office  office
	dead    atomic.Pointer[string] // what the panic said
}

// New returns a Core that holds nothing. It calls wake when there are notices for JavaScript to take,
// and before that there were none.
func New(wake func()) *Core {
	c := &Core{staging: make([]byte, 4096)}
	c.office.wake, c.office.dead = wake, c.die
	return c
}

func (c *Core) die(what string) {
	c.dead.CompareAndSwap(nil, &what)
	c.objects.clear()
}

// Buffer makes room for a request of n bytes and returns the staging buffer, whose
// first n bytes the caller then fills. Called with 0 it returns the buffer as
// it is: after Call a response stands in it. A request that is too large gets nil.
func (c *Core) Buffer(n int) []byte {
	switch {
	case n < 0 || n > MaxRequest:
		return nil
	case n > len(c.staging), n > 0 && n <= keepStaging && len(c.staging) > 2*keepStaging:
		c.staging = make([]byte, n+n/4+4096)
	}
	return c.staging
}

// Call runs an operation on the request in the first n bytes of the staging
// buffer. The response stands behind the request: of m bytes for the result m,
// or, when the result is -m, an error of m bytes (errors.go has its fields).
//
// Only a mistake in Hopseal can cause a panic. It makes the Core dead: its objects may be
// half changed, so this call and all later ones fail.
func (c *Core) Call(op, n int) (result int) {
	if n < 0 || n > len(c.staging) {
		n = 0
	}
	request := c.staging[:n:n]
	defer func() {
		if p := recover(); p != nil {
			c.die(fmt.Sprint("panic in the core: ", p))
			result = c.fail(n, errDead(*c.dead.Load()))
		}
	}()
	if dead := c.dead.Load(); dead != nil {
		return c.fail(n, errDead(*dead))
	}
	out, err := c.run(op, request, c.staging[:n])
	if err != nil {
		return c.fail(n, err)
	}
	return c.keep(out) - n
}

func (c *Core) run(op int, req, out []byte) ([]byte, error) {
	if op < 0 || op >= len(operations) || operations[op].run == nil {
		return nil, &Error{Code: "bad-argument", Message: "unknown operation"}
	}
	r := request{rest: req, objects: &c.objects}
	return operations[op].run(c, &r, out)
}

// fail writes the error behind the request.
func (c *Core) fail(n int, err error) int {
	return n - c.keep(appendError(c.staging[:n], err))
}

// keep makes out, which started as the request, the staging buffer. Where it
// outgrew the old one, that holds a copy of the request and perhaps of a part of
// the response: it is cleared.
func (c *Core) keep(out []byte) int {
	if cap(out) != len(c.staging) {
		clear(c.staging)
	}
	c.staging = out[:cap(out)]
	return len(out)
}

// An operation appends its response to out and must not touch what stands before.
type operation struct {
	name string // as in ops.js
	run  func(c *Core, r *request, out []byte) ([]byte, error)
}

// operations by number. The numbers are private to one build, in which both sides
// carry the same build id; ops.js repeats them, and a test compares.
var operations = [...]operation{
	1:   {"info", (*Core).info},
	2:   {"release", (*Core).release},
	10:  {"identityGenerate", (*Core).identityGenerate},
	11:  {"identityRenew", (*Core).identityRenew},
	12:  {"identityMarshal", (*Core).identityMarshal},
	13:  {"identityParse", (*Core).identityParse},
	14:  {"publicParse", (*Core).publicParse},
	15:  {"keptCreate", (*Core).keptCreate},
	16:  {"keptChanges", (*Core).keptChanges},
	17:  {"keptParse", (*Core).keptParse},
	18:  {"accountExport", (*Core).accountExport},
	19:  {"accountImport", (*Core).accountImport},
	20:  {"peersCreate", (*Core).peersCreate},
	21:  {"peersParse", (*Core).peersParse},
	22:  {"peersVerify", (*Core).peersVerify},
	23:  {"peersAdmit", (*Core).peersAdmit},
	24:  {"peersForget", (*Core).peersForget},
	25:  {"peersAdmitted", (*Core).peersAdmitted},
	26:  {"peersBytes", (*Core).peersBytes},
	27:  {"peersRevoke", (*Core).peersRevoke},
	30:  {"sharedGenerate", (*Core).sharedGenerate},
	31:  {"sharedMarshal", (*Core).sharedMarshal},
	32:  {"sharedParse", (*Core).sharedParse},
	40:  {"guardCreate", (*Core).guardCreate},
	41:  {"seal", (*Core).seal},
	42:  {"open", (*Core).open},
	43:  {"inspect", (*Core).inspect},
	44:  {"guardParse", (*Core).guardParse},
	45:  {"guardBytes", (*Core).guardBytes},
	46:  {"guardWithdraw", (*Core).guardWithdraw},
	47:  {"openOwn", (*Core).openOwn},
	50:  {"relayJoin", (*Core).relayJoin},
	51:  {"relayLeave", (*Core).relayLeave},
	52:  {"relayPublish", (*Core).relayPublish},
	53:  {"relayEvent", (*Core).relayEvent},
	60:  {"sealBegin", (*Core).sealBegin},
	61:  {"sealEnd", (*Core).sealEnd},
	62:  {"openBegin", (*Core).openBegin},
	63:  {"openVerify", (*Core).openVerify},
	64:  {"openEnd", (*Core).openEnd},
	65:  {"openOwnBegin", (*Core).openOwnBegin},
	70:  {"take", (*Core).take},
	71:  {"answer", (*Core).answer},
	72:  {"cancel", (*Core).cancel},
	73:  {"connOpen", (*Core).connOpen},
	74:  {"connReceived", (*Core).connReceived},
	75:  {"connSent", (*Core).connSent},
	76:  {"connClosed", (*Core).connClosed},
	80:  {"connect", later((*Core).connect)},
	81:  {"sessionSend", inTurn((*Core).sessionSend)},
	82:  {"sessionReceive", later((*Core).sessionReceive)},
	83:  {"sessionCall", later((*Core).sessionCall)},
	84:  {"sessionServe", later((*Core).sessionServe)},
	85:  {"sessionFlush", later((*Core).sessionFlush)},
	86:  {"sessionClose", later((*Core).sessionClose)},
	87:  {"sessionEnded", later(onSession(sessionEnded))},
	88:  {"sessionInfo", later(onSession(sessionInfo))},
	89:  {"sessionRenew", later(onSession(sessionRenew))},
	90:  {"sessionRecheck", later(onSession(sessionRecheck))},
	91:  {"sessionStats", later(onSession(sessionStats))},
	100: {"streamOpen", later((*Core).streamOpen)},
	101: {"streamWrite", inTurn((*Core).streamWrite)},
	102: {"streamFinish", inTurn((*Core).streamFinish)},
	103: {"streamAbort", later((*Core).streamAbort)},
	104: {"streamReceive", later((*Core).streamReceive)},
	105: {"streamRead", later((*Core).streamRead)},
	106: {"streamClose", later((*Core).streamClose)},
	110: {"serverCreate", (*Core).serverCreate},
	111: {"serverServe", later((*Core).serverServe)},
	112: {"serverShutdown", later((*Core).serverShutdown)},
	113: {"serverStats", later((*Core).serverStats)},
}

// info: nothing → version.
func (c *Core) info(r *request, out []byte) ([]byte, error) {
	if err := r.done(); err != nil {
		return nil, err
	}
	return appendText(out, Version), nil
}

// release: handle → nothing. A handle that is gone is no error, since a
// finalizer may come after close().
func (c *Core) release(r *request, out []byte) ([]byte, error) {
	h := r.uint32()
	if err := r.done(); err != nil {
		return nil, err
	}
	c.objects.remove(h)
	return out, nil
}

// Operations returns the names of all operations by number, "" for gaps.
func Operations() []string {
	names := make([]string, 0, len(operations))
	for _, o := range operations {
		names = append(names, o.name)
	}
	return slices.Clip(names)
}
