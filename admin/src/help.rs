//! The help texts, laid out as RocketMQ's tools lay them out. Pure.

use std::fmt::Write;

use crate::call::Command;
use crate::options::{HELP, NAME_SERVERS, Need, Opt};

/// Longest line of a usage. Source: RocketMQ `ServerUtil.printCommandLineHelp`.
const WIDTH: usize = 110;
const INDENT: &str = "       ";

/// The list of all commands.
pub(crate) fn overview(commands: &[&Command]) -> String {
    let mut text = String::from("The most commonly used mqadmin commands are:\n");
    for command in commands {
        let _ = writeln!(text, "   {:<35} {}", command.name, command.about);
    }
    text + "\nSee 'mqadmin help <command>' for more information on a specific command.\n"
}

/// How one command is called.
pub(crate) fn usage(command: &Command) -> String {
    let mut options: Vec<Opt> = command.options.iter().copied().chain([HELP, NAME_SERVERS]).collect();
    options.sort_by_key(|option| option.key().to_lowercase());
    let mut line = format!("usage: mqadmin {}", command.name);
    let mut is_group_written = false;
    for option in &options {
        match option.need {
            Need::Optional => line += &format!(" [{}]", spelled(option)),
            Need::Required => line += &format!(" {}", spelled(option)),
            Need::OneOf if is_group_written => {}
            Need::OneOf => {
                let group: Vec<String> =
                    options.iter().filter(|option| option.need == Need::OneOf).map(spelled).collect();
                line += &format!(" {} ", group.join(" | "));
                is_group_written = true;
            }
        }
    }
    wrap(&line) + &described(&options)
}

fn spelled(option: &Opt) -> String {
    let dashes = if option.short.is_empty() { "--" } else { "-" };
    format!("{dashes}{}{}", option.key(), if option.takes_value { " <arg>" } else { "" })
}

fn described(options: &[Opt]) -> String {
    let head = |option: &Opt| {
        let name = match option.short {
            "" => format!("    --{}", option.long),
            short => format!(" -{short},--{}", option.long),
        };
        name + if option.takes_value { " <arg>" } else { "" }
    };
    let width = options.iter().map(|option| head(option).len()).max().unwrap_or_default();
    options.iter().map(|option| format!("{:<width$}   {}\n", head(option), option.about)).collect()
}

/// Breaks a line at its last blank before the limit, as often as needed.
fn wrap(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.to_owned();
    while rest.len() > WIDTH {
        let Some(at) = rest[..=WIDTH].rfind(' ').filter(|at| *at > INDENT.len()) else { break };
        text += &format!("{}\n", rest[..at].trim_end());
        rest = format!("{INDENT}{}", rest[at..].trim_start());
    }
    text + rest.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    /// Printed by RocketMQ 5.3.3 for `mqadmin help updateTopic`, but for the descriptions.
    #[test]
    fn the_usage_of_update_topic_is_laid_out_as_rocketmqs() {
        let text = usage(commands::find("updateTopic").unwrap());
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some(
                "usage: mqadmin updateTopic [-a <arg>] -b <arg> | -c <arg>  [-h] [-n <arg>] [-o <arg>] [-p <arg>] [-r <arg>]"
            )
        );
        assert_eq!(lines.next(), Some("       [-s <arg>] -t <arg> [-u <arg>] [-w <arg>]"));
        assert!(lines.next().unwrap().starts_with(" -a,--attributes <arg>       "));
        assert_eq!(
            lines.nth(3),
            Some(
                " -n,--namesrvAddr <arg>      Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'"
            )
        );
    }
}
