package keystore

// inTurn waits until nobody makes a change of several steps, and keeps others from one until
// leave is called. Whoever changes keys does so in turn: two rotations at a time would each make
// the key that is due. Changes of the known peers do not: whoever is told of one may rotate.
func (s *Store) inTurn() (leave func()) {
	s.turn <- struct{}{}
	return func() { <-s.turn }
}

// idle reports whether a change could begin now. It cannot while another one is under way, which on a
// disk that hangs takes long.
func (s *Store) idle() bool {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return false
	}
	if !s.mu.TryLock() {
		return false
	}
	s.mu.Unlock()
	return true
}
