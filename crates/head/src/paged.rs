//! Things under dense numbers that are never reused: an array that gives back the pages on which nothing is left.

#[derive(Debug)]
pub(crate) struct Paged<T> {
    pages: Vec<Page<T>>,
    next: u32,
    live: usize,
    heap_bytes: usize,
}

#[derive(Debug)]
struct Page<T> {
    slots: Vec<Option<T>>,
    live: u32,
}

/// Numbers a page: few enough that a page is soon empty when everything of one age goes.
const PAGE_SLOTS: u32 = 256;

impl<T> Paged<T> {
    pub(crate) fn new() -> Self {
        Self { pages: Vec::new(), next: 0, live: 0, heap_bytes: 0 }
    }

    /// The number that the next value gets; all others lie below.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes + self.pages.capacity() * size_of::<Page<T>>()
    }

    /// Adds a value under the next number. The caller sees to it that `next()` never gets to `u32::MAX`.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let (page, slot) = place(self.next);
        if page == self.pages.len() {
            self.pages.push(Page { slots: Vec::new(), live: 0 });
        }
        let page = &mut self.pages[page];
        let before = page.slots.capacity();
        page.slots.resize_with(slot, || None); // longer only where an emptied page was given back half full
        page.slots.push(Some(value));
        page.live += 1;
        self.heap_bytes += (page.slots.capacity() - before) * size_of::<Option<T>>();
        self.live += 1;
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (page, slot) = place(number);
        self.pages.get(page)?.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (page, slot) = place(number);
        self.pages.get_mut(page)?.slots.get_mut(slot)?.as_mut()
    }

    pub(crate) fn take(&mut self, number: u32) -> Option<T> {
        let (page, slot) = place(number);
        let page = self.pages.get_mut(page)?;
        let value = page.slots.get_mut(slot)?.take()?;
        page.live -= 1;
        self.live -= 1;
        if page.live == 0 {
            self.heap_bytes -= page.slots.capacity() * size_of::<Option<T>>();
            page.slots = Vec::new();
        }
        Some(value)
    }

    /// The values of page number `page`, in order; None behind the last page.
    pub(crate) fn page(&self, page: usize) -> Option<impl Iterator<Item = &T>> {
        Some(self.pages.get(page)?.slots.iter().flatten())
    }
}

fn place(number: u32) -> (usize, usize) {
    ((number / PAGE_SLOTS) as usize, (number % PAGE_SLOTS) as usize)
}
