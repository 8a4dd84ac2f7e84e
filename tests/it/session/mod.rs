//! The gateway's sessions at Airflow: how they begin, how long they are used, how they die.

mod begin;
mod dead;
mod environments;
mod failures;
mod identity;
mod life;
mod moved;
mod refusing;
mod reissue;
mod secrets;
