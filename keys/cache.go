package keys

import "sync"

// PublicCacheSize is how many identities a [PublicCache] remembers at least once it
// is full; at most it holds twice as many. One takes about 3 KB, and 8 KB more once
// something was sealed to it; the largest that there can be takes 15 KB.
const PublicCacheSize = 512

// A PublicCache remembers identities that were parsed and verified, and gives
// them again for the same bytes in less than a microsecond. It compares all of
// the bytes. What does not parse is not remembered, so that strangers can fill it
// with their own identities, to no other effect than that others are verified
// again.
//
// How long an answer takes tells whether the identity was seen before: use one
// cache where all peers may know that. It holds nothing that a Verifier decides.
//
// The zero PublicCache is ready for use, and safe for concurrent use.
type PublicCache struct {
	mu sync.Mutex
	// Two generations: when the young one is full it becomes the old one, and what
	// was not asked for since is forgotten with the next.
	young, old map[string]*PublicIdentity
}

// Parse is [ParsePublic], which runs once for the same bytes as long as they are
// remembered.
func (c *PublicCache) Parse(b []byte) (*PublicIdentity, error) {
	if p := c.find(b); p != nil {
		return p, nil
	}
	p, err := ParsePublic(b)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(p)
	return p, nil
}

func (c *PublicCache) find(b []byte) *PublicIdentity {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.young[string(b)]; p != nil {
		return p
	}
	p := c.old[string(b)]
	if p != nil {
		c.add(p)
	}
	return p
}

func (c *PublicCache) add(p *PublicIdentity) {
	if c.young == nil || len(c.young) >= PublicCacheSize {
		c.young, c.old = make(map[string]*PublicIdentity), c.young
	}
	c.young[string(p.raw)] = p
}
