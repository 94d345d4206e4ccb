//! The `longhaul` binary: an allocator that gives memory back, and the command line.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    longhaul_server::cli::main()
}
