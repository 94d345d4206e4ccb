//! What is printed parses to the same. (Random expressions are printed beside the printer.)

use crate::queries;
use longhaul_promql::{ParseOptions, parse, pretty};

#[test]
fn committed_queries_are_printed_and_parsed_to_the_same() {
    let read = |text: &str| parse(text, &ParseOptions::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    for query in queries() {
        let printed = read(query).to_string();
        assert_eq!(read(&printed).to_string(), printed, "{query}");
        assert_eq!(read(&pretty(&read(query))).to_string(), printed, "{query}");
    }
}
