//! The corridor of commands: read, judged, seated, sent at most once, answered.

use super::course::{Course, End};
use super::note::Note;
use super::send::send;
use super::trail::Trail;
use super::{Corridor, Refused, boxed, out_of_reach, whole_body};
use crate::credential::Keyed;
use crate::names::Fault;
use crate::policy;
use crate::queue::{QueueError, Seated, Ticket};
use crate::reply::{self, Asked, CliForm, LastLine, Reply, ReplyStream};
use crate::route::Routed;
use crate::upstream::{Answered, UpstreamError};
use std::rc::Rc;
use std::sync::Arc;

/// A command: its body is read whole before anything is judged, because a truncated command
/// is a different valid command; what was judged is what is sent.
pub(super) async fn cli(
    corridor: &Rc<Corridor>,
    mut routed: Routed,
    note: &Note,
) -> Result<Reply, Refused> {
    let (shared, sweeper, trail) = (&corridor.shared, &corridor.sweeper, note.trail());
    trail.goes_to(routed.entry());
    let (limits, body) = (&shared.limits, routed.admitted_mut().body_mut());
    let bytes = whole_body::read(body, limits.cli_body, limits.body, sweeper)
        .await
        .map_err(boxed)?;
    let command = policy::Command::read(&bytes).map_err(boxed)?;
    trail.read(&command);
    let version = shared.versions.of(routed.entry()).await.map_err(boxed)?;
    let permitted = policy::permit(routed, &command, version).map_err(boxed)?;
    let (id, form) = (permitted.id(), CliForm::of(permitted.headers()));
    let asked = Asked {
        command: permitted.name(),
        json: permitted.wants_json(),
        version,
        repeated: false,
    };
    trail.passed(&permitted);
    trail.on_record(sweeper).await.map_err(boxed)?;
    let course = Course::of(&permitted, trail, &corridor.tasks);
    let ticket = shared
        .queues
        .line_up(permitted)
        .map_err(|error| course.failed(error))?;
    if form == CliForm::Events {
        return Ok(events(corridor, ticket, asked, course, note.clone()));
    }
    let seated = ticket.seat(sweeper).await;
    let answered = run(corridor, seated, &course).await?;
    let asked = course.repeats(asked);
    let reply = reply::command(answered, form, &asked, id, limits.cli_output)
        .await
        .map_err(boxed)?;
    match reply.body() {
        ReplyStream::Upstream(_) => trail.streams(),
        _ => trail.heard(reply::succeeded(&reply)),
    }
    Ok(reply)
}

/// The reply that tells what happens as it happens: the command is under way within its body.
/// What fails after its head is told at its end, counted and logged like any other fault.
fn events(
    corridor: &Rc<Corridor>,
    ticket: Ticket,
    asked: Asked,
    course: Rc<Course>,
    note: Note,
) -> Reply {
    let (id, entry) = (note.id(), Arc::clone(ticket.permitted().entry()));
    let (corridor, news) = (Rc::clone(corridor), Course::news(&course));
    let under_way = async move {
        match last_line(&corridor, ticket, asked, &course, note.trail()).await {
            Ok(line) => line,
            Err(fault) => {
                corridor.shared.reach.failed(&entry, fault.as_ref());
                let fault = Box::pin(out_of_reach::explain(&corridor, &entry, fault)).await;
                note.tell(&corridor.shared, fault.as_ref());
                reply::fault_line(fault.as_ref(), id)
            }
        }
    };
    reply::events(id, under_way, news)
}

async fn last_line(
    corridor: &Rc<Corridor>,
    ticket: Ticket,
    asked: Asked,
    course: &Rc<Course>,
    trail: &Trail,
) -> Result<LastLine, Refused> {
    let moved = |standing| course.moved(standing);
    let seated = ticket.seat_telling(&corridor.sweeper, moved).await;
    let answered = run(corridor, seated, course).await?;
    let (asked, limit) = (course.repeats(asked), corridor.shared.limits.cli_output);
    let (status, result) = reply::result(answered, &asked, limit)
        .await
        .map_err(boxed)?;
    trail.heard(result.as_ref().ok().map(|result| result.succeeded));
    Ok(reply::done_line(status, asked.repeated, &result))
}

/// From the slot to the web server's answer.
async fn run(
    corridor: &Rc<Corridor>,
    seated: Result<Seated, QueueError>,
    course: &Rc<Course>,
) -> Result<Answered, Refused> {
    let seated = seated.map_err(|error| course.failed(error))?;
    course.seated(seated.run());
    let audience = course.audience();
    let answered = match corridor.shared.broker.key(seated).await {
        Ok(keyed) => exchange(corridor, keyed, course).await.map_err(boxed),
        Err(error) => Err(course.failed(error)),
    };
    // on every way out, or the client would be said to have left
    audience.served();
    answered
}

/// Runs the exchange to its end: when the client goes away after the command was written, it
/// goes on at the web server, so its slot must stay taken until the web server has answered.
fn exchange(
    corridor: &Rc<Corridor>,
    keyed: Keyed,
    course: &Rc<Course>,
) -> impl Future<Output = Result<Answered, UpstreamError>> + use<> {
    let (task, until_the_end) = (Rc::clone(corridor), Rc::clone(course));
    let entry = Arc::clone(keyed.seated().entry());
    let sent = async move {
        let answered = send(&task, keyed, &until_the_end).await;
        match &answered {
            Ok(answered) => {
                task.shared.reach.works(&entry);
                until_the_end.ended(End::Answered(answered.status().as_u16()));
            }
            Err(error) => until_the_end.ended(End::of(error)),
        }
        answered
    };
    let course = Rc::clone(course);
    corridor.tasks.finish(sent, move || course.is_sent(), drop)
}

impl End {
    fn of(fault: &dyn Fault) -> Self {
        Self::Failed(fault.code().text, fault.to_string())
    }
}

impl Course {
    /// Notes the failure, and hands it on.
    fn failed(&self, fault: impl Fault + 'static) -> Refused {
        self.ended(End::of(&fault));
        boxed(fault)
    }
}
