package redial

import "syscall/js"

// A pageNetwork is what a browser tells a page or a worker about the network.
type pageNetwork struct {
	events js.Func
	back   chan struct{} // holds a token after the online event
}

// watchNetwork begins to listen for changes, before anybody asks whether the network is there, so
// that no change is missed. Node knows nothing about networks.
func watchNetwork() network {
	if js.Global().Get("addEventListener").Type() != js.TypeFunction {
		return anyNetwork{}
	}
	n := &pageNetwork{back: make(chan struct{}, 1)}
	n.events = js.FuncOf(func(js.Value, []js.Value) any {
		select {
		case n.back <- struct{}{}:
		default:
		}
		return nil
	})
	onGlobal("addEventListener", "online", n.events)
	return n
}

// online reports false only if the browser is sure that there is no network.
func (n *pageNetwork) online() bool {
	navigator := js.Global().Get("navigator")
	if navigator.Type() != js.TypeObject {
		return true
	}
	known := navigator.Get("onLine")
	return known.Type() != js.TypeBoolean || known.Bool()
}

func (n *pageNetwork) changed() <-chan struct{} { return n.back }

func (n *pageNetwork) stop() {
	onGlobal("removeEventListener", "online", n.events)
	n.events.Release()
}

// onGlobal calls a function of the global object without saying on what: browsers refuse it on the
// stand-in that the npm package puts in the global object's place.
func onGlobal(name string, args ...any) { js.Global().Get(name).Invoke(args...) }
