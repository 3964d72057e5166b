//! Python's `random.seed` and `random.shuffle`: published splits are the order that they give.
//!
//! The generator is MT19937 (Matsumoto and Nishimura 1998), seeded by an array of 32-bit words as its authors define
//! it.

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// Python's default generator, seeded with a whole number.
pub(crate) struct PythonRandom {
    state: [u32; WORDS],
    next: usize,
}

impl PythonRandom {
    /// As `random.seed(seed)`.
    pub fn new(seed: u64) -> Self {
        // Python gives as many words as the number has.
        let key = [seed as u32, (seed >> 32) as u32];
        let key = if key[1] == 0 { &key[..1] } else { &key[..] };
        let mut state = [0_u32; WORDS];
        state[0] = 19_650_218;
        for i in 1..WORDS {
            state[i] = mixed(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        let step = |state: &mut [u32; WORDS], i: &mut usize, factor: u32, plus: u32| {
            state[*i] = (state[*i] ^ mixed(state[*i - 1]).wrapping_mul(factor)).wrapping_add(plus);
            *i += 1;
            if *i == WORDS {
                state[0] = state[WORDS - 1];
                *i = 1;
            }
        };
        for j in (0..key.len()).cycle().take(WORDS) {
            step(&mut state, &mut i, 1_664_525, key[j].wrapping_add(j as u32));
        }
        for _ in 1..WORDS {
            let minus = i as u32;
            step(&mut state, &mut i, 1_566_083_941, minus.wrapping_neg());
        }
        state[0] = 1 << 31;
        Self { state, next: WORDS }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            for i in 0..WORDS {
                let joined = (self.state[i] & (1 << 31)) | (self.state[(i + 1) % WORDS] & !(1 << 31));
                let odd = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ (joined >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut value = self.state[self.next];
        self.next += 1;
        value ^= value >> 11;
        value ^= (value << 7) & 0x9D2C_5680;
        value ^= (value << 15) & 0xEFC6_0000;
        value ^ (value >> 18)
    }

    /// A number below `limit`, which is above 0: as many of the highest bits as it takes, until they are below.
    fn below(&mut self, limit: u32) -> u32 {
        loop {
            let value = self.next_u32() >> limit.leading_zeros();
            if value < limit {
                return value;
            }
        }
    }

    /// As `random.shuffle(items)`, for fewer than 2^32 items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

fn mixed(word: u32) -> u32 {
    word ^ (word >> 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3 prints for `random.seed(s); x = list(range(n)); random.shuffle(x)`.
    #[test]
    fn shuffles_are_pythons() {
        let shuffled = |random: &mut PythonRandom, count: u32| {
            let mut items: Vec<u32> = (0..count).collect();
            random.shuffle(&mut items);
            items
        };
        let mut random = PythonRandom::new(42);
        assert_eq!(shuffled(&mut random, 10), [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
        // One generator goes on where it was.
        assert_eq!(shuffled(&mut random, 7), [1, 2, 5, 6, 0, 3, 4]);
        let many = shuffled(&mut PythonRandom::new(42), 100_000);
        assert_eq!(
            (&many[..5], &many[99_995..]),
            ([3813, 99183, 80737, 65674, 53670].as_slice(), [36048, 97196, 3278, 14592, 83810].as_slice())
        );
        assert_eq!(shuffled(&mut PythonRandom::new(0), 10), [7, 8, 1, 5, 3, 4, 2, 0, 9, 6]);
        assert_eq!(shuffled(&mut PythonRandom::new((1 << 40) + 7), 10), [0, 5, 2, 3, 6, 1, 8, 4, 7, 9]);
    }
}
