package keystore

// inTurn waits until no other change of several steps is under way, and keeps others from beginning until
// leave is called. Every change of keys calls it: two rotations at a time would each make the key that
// is due. Changes of the known peers do not call it: the function that is called after one may rotate.
func (s *Store) inTurn() (leave func()) {
	s.turn <- struct{}{}
	return func() { <-s.turn }
}

// idle reports whether a change could begin now: no other one is under way. On a disk that hangs one may
// take long.
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
