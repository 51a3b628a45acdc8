//go:build js

//lint:file-ignore U1000 JavaScript calls what is exported here

package main

import (
	"time"
	"unsafe"

	"github.com/hopseal/hopseal/wasm/internal/core"
)

// wake tells JavaScript that the core has notices for it.
//
//go:wasmimport hopseal wake
func wake()

var instance = core.New(wake)

// buffer returns the address of the staging buffer, with room for a request of n
// bytes, or 0 when that is too large. See [core.Core.Buffer].
//
// JavaScript makes its view of the memory after every call: growing memory
// detaches the views there are.
//
//go:wasmexport buffer
func buffer(n int32) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(instance.Buffer(int(n))))
}

// call runs an operation. See [core.Core.Call].
//
//go:wasmexport call
func call(op, n int32) int32 { return int32(instance.Call(int(op), int(n))) }

// now is a timer that does nothing.
var now = time.AfterFunc(time.Hour, func() {})

// settle makes the runtime look through all its timers when it is resumed: it does so where one that
// was reset is due. Package wasmbuild says why.
//
//go:wasmexport settle
func settle() { now.Reset(0) }

// main keeps the instance alive for the exports. It may never return, since with
// it the runtime ends.
func main() { select {} }
