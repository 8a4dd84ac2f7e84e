//! Several places, what comes and goes, and how often AWS is asked.
