package redial

// A network knows whether there is one. Outside of browsers nobody does.
type network interface {
	online() bool
	changed() <-chan struct{} // gets a token when the network has come back
	stop()
}

// anyNetwork is where nobody knows.
type anyNetwork struct{}

func (anyNetwork) online() bool             { return true }
func (anyNetwork) changed() <-chan struct{} { return nil }
func (anyNetwork) stop()                    {}
