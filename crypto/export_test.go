package crypto

// SetLimit changes how many values a key may seal, for tests of what happens
// at the limit.
func (k *Keeper) SetLimit(a Algorithm, n uint64) { k.limits[a] = n }

// ReserveBatch is how many uses an instance takes at once.
const ReserveBatch = reserveBatch

// CacheLen is how many keys are in memory.
func (k *Keeper) CacheLen() int {
	k.cache.mu.RLock()
	defer k.cache.mu.RUnlock()
	return len(k.cache.ids)
}

// Commitment is the id of a key.
var Commitment = commitment
