package redial

// A network knows whether this machine is online. Only browsers know that.
type network interface {
	online() bool
	changed() <-chan struct{} // gets a token when the network has come back
	stop()
}

// anyNetwork is used where nobody knows: it is always online.
type anyNetwork struct{}

func (anyNetwork) online() bool             { return true }
func (anyNetwork) changed() <-chan struct{} { return nil }
func (anyNetwork) stop()                    {}
