package keys

import "sync"

// PublicCacheSize is the least number of identities that a full [PublicCache] remembers. It holds
// twice as many at most. One identity takes about 3 KB, and 8 KB more once something was sealed to
// it. The largest possible one takes 15 KB.
const PublicCacheSize = 512

// A PublicCache remembers identities that it has parsed and verified. It returns them again for the
// same bytes in less than a microsecond, and compares all of the bytes. It does not remember bytes
// that do not parse. Strangers can fill it with identities of their own; the only effect is that
// others are verified again.
//
// The time of an answer tells whether the identity was seen before: use one cache only where all
// peers may know that. The cache holds nothing that a Verifier decides.
//
// The zero PublicCache is ready for use, and safe for concurrent use.
type PublicCache struct {
	mu sync.Mutex
	// There are two generations. When the young one is full, it becomes the old one, and the old one
	// is forgotten. What somebody asked for in between has moved to the young one and stays.
	young, old map[string]*PublicIdentity
}

// Parse is [ParsePublic], but parses the same bytes only once while the cache remembers them.
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
